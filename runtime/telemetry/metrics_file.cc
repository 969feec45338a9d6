#include "runtime/telemetry/metrics_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;
// Keeps the order of keys.
using Json = nlohmann::ordered_json;

std::string Text(const MetricsLine& line) {
  std::string text = fmt::format("{{\"step\":{}", line.step);
  for (const auto& [name, value] : line.values) {
    // Names are quoted as JSON; {} gives the shortest number that reads back the same.
    text += fmt::format(",{}:{}", Json(name).dump(-1, ' ', false, Json::error_handler_t::replace),
                        std::isfinite(value) ? fmt::format("{}", value) : "null");
  }
  return text + "}\n";
}

std::optional<MetricsLine> Parse(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) {
    return std::nullopt;
  }
  MetricsLine line;
  for (const auto& [name, value] : json.items()) {
    if (name == "step") {
      line.step = value.get<int64_t>();
    } else if (value.is_number()) {
      line.values.emplace_back(name, value.get<double>());
    } else if (value.is_null()) {
      line.values.emplace_back(name, std::numeric_limits<double>::quiet_NaN());
    } else {
      return std::nullopt;
    }
  }
  return line;
}

struct Placed {
  MetricsLine line;
  uint64_t begin = 0;  // its first byte
};

// The whole lines with their places.
absl::StatusOr<std::vector<Placed>> ReadPlaced(const fs::path& path) {
  TANREN_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  const std::string_view text = content;
  std::vector<Placed> lines;
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', begin)) {
    std::optional<MetricsLine> line = Parse(text.substr(begin, end - begin));
    if (!line.has_value()) {
      return absl::DataLossError(fmt::format(
          "{}:{}: found \"{}\", expected a JSON object with an integer \"step\" and numbers",
          path.string(), lines.size() + 1,
          std::string(text.substr(begin, std::min<size_t>(end - begin, 80)))));
    }
    lines.push_back({*std::move(line), begin});
    begin = end + 1;
  }
  return lines;
}

}  // namespace

absl::StatusOr<MetricsFile> MetricsFile::Open(const fs::path& path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) return ErrnoOf("can't open", path);
  MetricsFile metrics(path, descriptor);
  uint64_t whole = 0;
  {
    TANREN_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
    whole = file.bytes().size();
    while (whole > 0 && file.bytes()[whole - 1] != std::byte{'\n'}) --whole;
    if (whole == file.bytes().size()) return metrics;
  }
  TANREN_RETURN_IF_ERROR(metrics.Truncate(whole));
  return metrics;
}

MetricsFile::MetricsFile(fs::path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

MetricsFile::MetricsFile(MetricsFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

MetricsFile& MetricsFile::operator=(MetricsFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

MetricsFile::~MetricsFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status MetricsFile::Append(const MetricsLine& line) {
  const std::string text = Text(line);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoOf("can't write", path_);
    rest.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status MetricsFile::Truncate(uint64_t size) {
  if (ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return ErrnoOf("can't cut", path_);
  return absl::OkStatus();
}

absl::Status MetricsFile::CutBackTo(int64_t step) {
  TANREN_ASSIGN_OR_RETURN(const std::vector<Placed> lines, ReadPlaced(path_));
  for (const Placed& placed : lines) {
    if (placed.line.step > step) return Truncate(placed.begin);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MetricsLine>> ReadMetrics(const fs::path& path) {
  TANREN_ASSIGN_OR_RETURN(std::vector<Placed> placed, ReadPlaced(path));
  std::vector<MetricsLine> lines;
  lines.reserve(placed.size());
  for (Placed& one : placed) lines.push_back(std::move(one.line));
  return lines;
}

}  // namespace tanren
