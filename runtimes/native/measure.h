// One launch: open an artifact in this fresh process, warm up, take samples.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "job.h"
#include "json.h"
#include "session.h"

namespace groundspeed {

// Raises UsageError: the job cannot be carried out as it stands.
void check(const Job& job);

// The engine that a job asks for. Raises UnknownName: this agent has another one; MissingExtra.
std::unique_ptr<Engine> engine_of(const Job& job);

// Carries out a job as runtimes/measure.py does, and returns the Launch.
// `report_progress` hears a short sentence at each stage, never between samples.
// Raises UsageError, UnknownName, ArtifactError, InputError or NonFiniteOutput, as there.
json::Object launch(const Job& job, const std::function<void(const std::string&)>& report_progress);

}  // namespace groundspeed
