// `runner [RESULT]`: what runs on a device without Python, one fresh process a launch.
//
// The same conversation as runtimes/agent.py: one JSON Job on standard input; on standard output
// {"progress": sentence} any number of times, then one {"result": ...} or {"error": {"class": ...,
// "message": ...}}. The exit code is that of the error, 0 without one. With RESULT, a path, the
// last line is written there before it is printed, and the agent goes on when nobody listens any
// more.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "answering.h"
#include "conditions.h"
#include "errors.h"
#include "files.h"
#include "job.h"
#include "json.h"
#include "measure.h"
#include "session.h"

namespace groundspeed {
namespace {

// The lines that whoever asked reads.
class Answers {
 public:
  // Takes the real standard output away, and gives engines standard error instead: one line of
  // theirs among the answers would spoil them.
  explicit Answers(std::string result) : result_(std::move(result)), file_(::dup(1)) {
    ::dup2(2, 1);
  }

  void progress(const std::string& sentence) const {
    print(json::Value(json::Object{{"progress", sentence}}).text() + "\n");
  }

  // The last word.
  void end(const char* kind, json::Value value) const {
    const std::string line = json::Value(json::Object{{kind, std::move(value)}}).text() + "\n";
    keep(line);
    print(line);
  }

 private:
  void keep(const std::string& line) const {
    try {
      if (!result_.empty()) write_atomically(result_, line);
    } catch (const Error& error) {
      std::fprintf(stderr, "%s\n", error.what());  // whoever still listens gets the line itself
    }
  }

  // A listener that is gone is no failure: the result is kept in a file, or nobody wants it.
  void print(std::string_view line) const {
    while (!line.empty()) {
      const ssize_t written = ::write(file_, line.data(), line.size());
      if (written <= 0) return;
      line.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  std::string result_;
  int file_;
};

json::Object facts() {
  json::Object machine = read_machine();
  json::Object runtimes;
  try {
    runtimes.emplace_back(kRuntime, load_engine()->version());
  } catch (const MissingExtra&) {
    // A runtime that cannot be loaded is not installed.
  }
  machine.emplace_back("runtimes", runtimes);
  return machine;
}

json::Object carry_out(const Job& job, const Answers& answers) {
  if (job.action == "facts") return facts();
  const auto tell = [&](const std::string& sentence) { answers.progress(sentence); };
  return job.action == "answer" ? answer(job, tell) : launch(job, tell);
}

int fail(const Answers& answers, const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  answers.end("error", json::Object{{"class", error.name}, {"message", error.message}});
  return error.exit_code;
}

int run(const Answers& answers) {
  try {
    const std::string text = read_all(STDIN_FILENO).value_or("");
    answers.end("result", carry_out(read_job(text), answers));
    return 0;
  } catch (const Error& error) {
    return fail(answers, error);
  } catch (const std::exception& error) {  // whoever asked must hear of anything
    return fail(answers, LaunchError(error.what()));
  }
}

}  // namespace
}  // namespace groundspeed

int main(int count, char** arguments) {
  const std::string result = count > 1 ? arguments[1] : "";
  if (result.empty()) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // dies with its parent, even by kill -9
  } else {
    std::signal(SIGHUP, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
  }
  return groundspeed::run(groundspeed::Answers(result));
}
