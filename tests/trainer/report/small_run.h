// A run's folder, written as training writes it.
#ifndef TANREN_TESTS_TRAINER_REPORT_SMALL_RUN_H_
#define TANREN_TESTS_TRAINER_REPORT_SMALL_RUN_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "runtime/base/error.h"
#include "runtime/telemetry/event_log.h"
#include "runtime/telemetry/metrics_file.h"
#include "trainer/loop/run_folder.h"

namespace tanren::trainer {

inline void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

// Three steps, with a held-out loss before and after; named `name`, in an empty folder.
inline std::filesystem::path SmallRun(const std::string& name) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / ("run_" + name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const RunFolder files(folder);
  WriteText(files.recipe(), "name: " + name + "  # <b>\n");

  auto events = ValueOrThrow(EventLog::Open(folder));
  Event started;
  started.mutable_run_started()->set_name(name);
  started.mutable_run_started()->set_world_size(2);
  started.mutable_run_started()->set_parameters(134'500'000);
  ThrowIfError(events->Append(started));
  MetricsFile metrics = ValueOrThrow(MetricsFile::Open(files.metrics()));
  ThrowIfError(metrics.Append({0, {{"validation_loss", 3.5}}}));
  ThrowIfError(metrics.Append({1, {{"loss", 3.25}, {"tokens", 100}, {"tokens_per_second", 50}}}));
  ThrowIfError(metrics.Append({2, {{"loss", 2.5}, {"tokens", 100}, {"tokens_per_second", 70}}}));
  ThrowIfError(metrics.Append(
      {3, {{"loss", 1.125}, {"tokens", 90}, {"tokens_per_second", 60}, {"validation_loss", 1.5}}}));
  return folder;
}

// How the events of the folder's launch go on.
inline void AppendEvent(const std::filesystem::path& folder, const Event& event) {
  const std::string launch =
      ValueOrThrow(ReadEvents(RunFolder(folder).events())).events.back().launch();
  ThrowIfError(ValueOrThrow(EventLog::Join(folder, launch))->Append(event));
}

inline std::string EvaluationJson(double share, const std::string& text, bool right) {
  return R"({"model": "m", "held_out": null, "exact_match": {"right": 1, "questions": 2, "share": )" +
         std::to_string(share) +
         R"(, "share_interval": [0.1, 0.9], "answers": [{"question": "2+2?", "answer": "4", "text": ")" +
         text + R"(", "right": )" + (right ? "true" : "false") + "}]}}";
}

// Of multiple choice alone.
inline std::string ChoicesJson(double acc, double acc_norm) {
  return R"({"model": "m", "held_out": null, "exact_match": null, "multiple_choice": {"questions": 2, "acc": )" +
         std::to_string(acc) + R"(, "acc_interval": [0.2, 0.8], "acc_norm": )" +
         std::to_string(acc_norm) + R"(, "acc_norm_interval": [0.3, 0.9], "answers": []}})";
}

}  // namespace tanren::trainer

#endif  // TANREN_TESTS_TRAINER_REPORT_SMALL_RUN_H_
