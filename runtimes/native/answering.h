// Many samples in one launch: their outputs, and no times.
#pragma once

#include <functional>
#include <string>

#include "job.h"
#include "json.h"

namespace groundspeed {

// Carries out an "answer" job as runtimes/answering.py does, and returns what it is called there.
// Raises UsageError, UnknownName, ArtifactError or InputError, as there.
json::Object answer(const Job& job, const std::function<void(const std::string&)>& report_progress);

}  // namespace groundspeed
