// One launch: open an artifact in this fresh process, warm up, take samples.
#pragma once

#include <functional>
#include <string>

#include "job.h"
#include "json.h"

namespace groundspeed {

// Carries out a job as runtimes/measure.py does, and returns the Launch.
// `report_progress` hears a short sentence at each stage, never between samples.
// Raises UsageError, UnknownName, ArtifactError, InputError or NonFiniteOutput, as there.
json::Object launch(const Job& job, const std::function<void(const std::string&)>& report_progress);

}  // namespace groundspeed
