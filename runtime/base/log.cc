#include "runtime/base/log.h"

#include <memory>
#include <mutex>
#include <utility>

#include "fmt/format.h"
#include "spdlog/sinks/basic_file_sink.h"
#include "spdlog/sinks/stdout_color_sinks.h"

namespace tanren {
namespace {

class StandardError final : public spdlog::sinks::stderr_color_sink_mt {
 public:
  void log(const spdlog::details::log_msg& message) override {
    const std::lock_guard lock(mutex_);
    if (!status_line_.empty()) fmt::print(stderr, "\r\033[K");
    spdlog::sinks::stderr_color_sink_mt::log(message);
    if (!status_line_.empty()) fmt::print(stderr, "{}", status_line_);
  }

  void set_status_line(std::string line) {
    const std::lock_guard lock(mutex_);
    status_line_ = std::move(line);
  }

 private:
  std::mutex mutex_;
  std::string status_line_;
};

const std::shared_ptr<StandardError>& StandardErrorSink() {
  static const auto sink = std::make_shared<StandardError>();
  return sink;
}

// The default logger with sinks of ours, made at first use.
spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("tanren", StandardErrorSink());
    made->set_pattern("%H:%M:%S %^%L%$ %v");
    made->flush_on(spdlog::level::info);  // a killed process's last lines are there too
    spdlog::set_default_logger(made);
    return made;
  }();
  return *logger;
}

const bool kLoggerIsReady = (Logger(), true);

}  // namespace

void SetStatusLine(std::string line) { StandardErrorSink()->set_status_line(std::move(line)); }

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
  return absl::OkStatus();
}

void WriteErrorToLogFiles(const std::string& message) {
  const spdlog::details::log_msg line("", spdlog::level::err, message);
  for (const spdlog::sink_ptr& sink : Logger().sinks()) {
    if (sink == StandardErrorSink()) continue;
    sink->log(line);
    sink->flush();
  }
}

}  // namespace tanren
