#include "trainer/loop/progress.h"

#include <algorithm>

#include "fmt/format.h"
#include "runtime/base/log.h"
#include "runtime/base/terminal.h"

namespace tanren::trainer {
namespace {

constexpr double kSecondsBetweenLines = 5;
constexpr double kSmoothing = 0.2;  // weight of the newest step in the rate

}  // namespace

std::string FormatDuration(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string ProgressLine(const StepReport& report, const ProgressScale& scale,
                         double tokens_per_second, double seconds_left) {
  std::string line = fmt::format("step {}/{}  loss {:.4f}  {:.0f} tok/s", report.step,
                                 scale.total_steps, report.loss, tokens_per_second);
  if (scale.flops_per_second > 0) {
    line += fmt::format("  {:.0f} % of limit",
                        100 * tokens_per_second * scale.flops_per_token / scale.flops_per_second);
  }
  // Where there is a GPU, its memory is what runs out first.
  const uint64_t most =
      report.memory.peak_device > 0 ? report.memory.peak_device : report.memory.peak_resident;
  line += fmt::format("  {:.1f} GB/rank  {} left", static_cast<double>(most) / 1e9,
                      FormatDuration(seconds_left));
  if (const auto found = report.metrics.find("validation_loss"); found != report.metrics.end()) {
    line += fmt::format("  held-out {:.4f}", found->second);
  }
  if (report.skipped) line += "  skipped: gradients not finite";
  return line;
}

Progress::Progress(ProgressScale scale, std::FILE* stream)
    : scale_(scale), stream_(stream), terminal_(SeenOnTerminal(fileno(stream))) {}

void Progress::RunStarted(StartReport& report) {
  first_step_ = report.steps_done;
  if (scale_.flops_per_second > 0) {
    fmt::print(stream_,
               "limit: {:.0f} GFLOP/s in matrix products, measured on all ranks; share = tok/s × "
               "{:.3f} GFLOP a token ÷ limit\n",
               scale_.flops_per_second / 1e9, scale_.flops_per_token / 1e9);
  }
}

void Progress::StepFinished(StepReport& report) {
  seconds_ += report.seconds;
  const double rate = static_cast<double>(report.tokens) / std::max(report.seconds, 1e-9);
  smoothed_rate_ =
      smoothed_rate_ == 0 ? rate : (1 - kSmoothing) * smoothed_rate_ + kSmoothing * rate;
  const bool due = seconds_ - last_written_ >= kSecondsBetweenLines;
  const bool notable = report.is_last || report.stop_requested || report.skipped ||
                       report.metrics.contains("validation_loss");
  if (!terminal_ && !due && !notable) return;
  last_written_ = seconds_;

  const auto done = static_cast<double>(report.step - first_step_);
  const double left = seconds_ / done * static_cast<double>(scale_.total_steps - report.step);
  const std::string line = ProgressLine(report, scale_, smoothed_rate_, left);
  if (terminal_) {
    fmt::print(stream_, "\r\033[K{}{}", line, notable ? "\n" : "");
    SetStatusLine(notable ? "" : line);
  } else {
    fmt::print(stream_, "{}\n", line);
  }
  std::fflush(stream_);
}

}  // namespace tanren::trainer
