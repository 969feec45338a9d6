#include "trainer/report/run_record.h"

#include <cmath>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/telemetry/event_log.h"
#include "trainer/loop/run_folder.h"

namespace tanren::trainer {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

bool Exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Reads a JSON file and hands it to `parse`; what that throws for missing keys and other types
// becomes an error with the file's name. Nothing where there is no file.
template <typename Parse>
auto ReadJson(const fs::path& path, const Parse& parse)
    -> absl::StatusOr<std::optional<decltype(parse(Json()))>> {
  if (!Exists(path)) return std::nullopt;
  TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  try {
    return parse(Json::parse(text));
  } catch (const Json::exception& error) {
    return absl::DataLossError(fmt::format("{}: {}", path.string(), error.what()));
  }
}

Estimate ParseEstimate(const Json& value, const Json& interval) {
  return {value.get<double>(), interval.at(0).get<double>(), interval.at(1).get<double>()};
}

EvaluationRecord ParseEvaluation(const Json& json) {
  EvaluationRecord record;
  if (const Json& held_out = json.at("held_out"); !held_out.is_null()) {
    record.loss = ParseEstimate(held_out.at("loss"), held_out.at("loss_interval"));
  }
  if (const Json& match = json.at("exact_match"); !match.is_null()) {
    record.exact_match = ParseEstimate(match.at("share"), match.at("share_interval"));
    record.right = match.at("right").get<int64_t>();
    for (const Json& answer : match.at("answers")) {
      record.answers.push_back({answer.at("question"), answer.at("answer"), answer.at("text"),
                                answer.at("right").get<bool>()});
    }
  }
  // Files of older versions don't have it.
  const auto choice = json.find("multiple_choice");
  if (choice != json.end() && !choice->is_null()) {
    record.acc = ParseEstimate(choice->at("acc"), choice->at("acc_interval"));
    record.acc_norm = ParseEstimate(choice->at("acc_norm"), choice->at("acc_norm_interval"));
  }
  return record;
}

std::vector<Asking> ParseAskings(const Json& json) {
  std::vector<Asking> askings;
  for (const Json& entry : json) {
    Asking& asking = askings.emplace_back();
    asking.step = entry.at("step").get<int64_t>();
    for (const Json& answer : entry.at("answers")) {
      asking.answers.emplace_back(answer.at("question"), answer.at("text"));
    }
  }
  return askings;
}

absl::Status ReadLatestLaunch(const fs::path& path, RunRecord& run) {
  if (!Exists(path)) return absl::OkStatus();
  TANREN_ASSIGN_OR_RETURN(const EventsRead read, ReadEvents(path));
  std::string launch;
  for (const Event& event : read.events) {
    if (event.has_run_started()) {
      launch = event.launch();
      run.started = event.run_started();
      run.ended.reset();
    } else if (event.has_run_ended() && (!run.started || event.launch() == launch)) {
      // (A later launch that failed before its first step has changed nothing of the run.)
      run.ended = event.run_ended();
    }
  }
  return absl::OkStatus();
}

}  // namespace

Points RunRecord::Series(std::string_view metric) const {
  Points points;
  for (const MetricsLine& line : metrics) {
    for (const auto& [name, value] : line.values) {
      if (name == metric && std::isfinite(value)) {
        points.emplace_back(static_cast<double>(line.step), value);
      }
    }
  }
  return points;
}

std::vector<double> RunRecord::Gaps(std::string_view metric) const {
  std::vector<double> steps;
  for (const MetricsLine& line : metrics) {
    for (const auto& [name, value] : line.values) {
      if (name == metric && !std::isfinite(value)) steps.push_back(static_cast<double>(line.step));
    }
  }
  return steps;
}

absl::StatusOr<RunRecord> ReadRun(const fs::path& folder) {
  const RunFolder files(folder);
  if (!Exists(files.recipe())) {
    return absl::NotFoundError(fmt::format(
        "{}: holds no run: there is no recipe.yaml, which train leaves there", folder.string()));
  }
  RunRecord run;
  run.folder = folder;
  TANREN_ASSIGN_OR_RETURN(run.recipe, ReadFile(files.recipe()));
  TANREN_RETURN_IF_ERROR(ReadLatestLaunch(files.events(), run));
  if (Exists(files.metrics())) {
    TANREN_ASSIGN_OR_RETURN(run.metrics, ReadMetrics(files.metrics()));
  }
  TANREN_ASSIGN_OR_RETURN(auto askings, ReadJson(files.samples(), ParseAskings));
  if (askings) run.askings = *std::move(askings);
  TANREN_ASSIGN_OR_RETURN(run.before, ReadJson(files.evaluation("before"), ParseEvaluation));
  TANREN_ASSIGN_OR_RETURN(run.after, ReadJson(files.evaluation("after"), ParseEvaluation));
  run.name = run.started && !run.started->name().empty() ? run.started->name()
                                                         : fs::absolute(folder).filename().string();
  return run;
}

absl::StatusOr<std::vector<RunRecord>> ReadRuns(std::span<const fs::path> folders) {
  std::vector<RunRecord> runs;
  for (const fs::path& folder : folders) {
    TANREN_ASSIGN_OR_RETURN(RunRecord run, ReadRun(folder));
    runs.push_back(std::move(run));
  }
  return runs;
}

}  // namespace tanren::trainer
