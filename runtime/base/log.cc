#include "runtime/base/log.h"

#include <chrono>
#include <memory>

#include "fmt/format.h"
#include "spdlog/sinks/basic_file_sink.h"
#include "spdlog/sinks/stdout_color_sinks.h"

namespace tanren {
namespace {

// The default logger with sinks of ours, made at first use.
spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>(
        "tanren", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%H:%M:%S %^%L%$ %v");
    made->flush_on(spdlog::level::warn);
    spdlog::set_default_logger(made);
    return made;
  }();
  return *logger;
}

const bool kLoggerIsReady = (Logger(), true);

}  // namespace

void SetLogRank(int rank, int world_size) {
  if (world_size <= 1) return;
  Logger().set_pattern(fmt::format("%H:%M:%S %^%L%$ [{}/{}] %v", rank, world_size));
  if (rank != 0) Logger().sinks().front()->set_level(spdlog::level::warn);
}

absl::Status AddLogFile(const std::filesystem::path& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
    sink->set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %v");
    Logger().sinks().push_back(std::move(sink));
  } catch (const spdlog::spdlog_ex& error) {
    return absl::InternalError(fmt::format("{}: {}", path.string(), error.what()));
  }
  spdlog::flush_every(std::chrono::seconds(1));
  return absl::OkStatus();
}

}  // namespace tanren
