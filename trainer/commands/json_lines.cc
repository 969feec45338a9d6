#include "trainer/commands/json_lines.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLongestLine = size_t{64} << 20;

bool IsBlank(const std::string& line) {
  return line.find_first_not_of(" \t\r") == std::string::npos;
}

absl::StatusOr<Json> ParseLine(const std::string& line) {
  try {
    Json json = Json::parse(line);
    if (!json.is_object()) {
      return absl::InvalidArgumentError(
          fmt::format("found {}, expected an object", json.type_name()));
    }
    return json;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(fmt::format("not JSON: {}", error.what()));
  }
}

// Broken UTF-8 in a model's output becomes U+FFFD.
void PrintLine(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
}

// A request and what is known of it so far.
struct Pending {
  int64_t line = 0;
  absl::StatusOr<Json> result = absl::UnknownError("");
};

}  // namespace

absl::StatusOr<std::optional<std::string>> LineReader::Next() {
  while (true) {
    if (const size_t end = buffered_.find('\n', read_); end != std::string::npos) {
      std::string line = buffered_.substr(read_, end - read_);
      read_ = end + 1;
      return line;
    }
    buffered_.erase(0, std::exchange(read_, 0));
    if (ended_) {
      if (buffered_.empty()) return std::nullopt;
      return std::exchange(buffered_, {});
    }
    if (buffered_.size() > kLongestLine) {
      return absl::ResourceExhaustedError(
          fmt::format("a line is longer than {} MiB", kLongestLine >> 20));
    }
    char chunk[1 << 16];
    const ssize_t got = read(descriptor_, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::InternalError(fmt::format("reading the input failed: {}", strerror(errno)));
    }
    if (got == 0) ended_ = true;
    buffered_.append(chunk, static_cast<size_t>(got));
  }
}

bool LineReader::Ready() const {
  if (ended_ || buffered_.find('\n', read_) != std::string::npos) return true;
  pollfd waiting{descriptor_, POLLIN, 0};
  return poll(&waiting, 1, 0) > 0;
}

int FilterLines(size_t batch, const BatchAnswer& answer) {
  LineReader reader(STDIN_FILENO);
  int64_t line_number = 0;
  bool failed = false, ended = false;
  while (!ended) {
    std::vector<Pending> pending;
    std::vector<Json> requests;
    std::vector<size_t> asked;  // index in `pending` of each request
    while (pending.size() < batch && (pending.empty() || reader.Ready())) {
      absl::StatusOr<std::optional<std::string>> line = reader.Next();
      if (line.ok() && !line->has_value()) {
        ended = true;
        break;
      }
      ++line_number;
      if (line.ok() && IsBlank(**line)) continue;
      absl::StatusOr<Json> request = line.ok() ? ParseLine(**line) : line.status();
      ended = !line.ok();
      Pending& added = pending.emplace_back();
      added.line = line_number;
      if (!request.ok()) {
        added.result = request.status();
        if (ended) break;
        continue;
      }
      asked.push_back(pending.size() - 1);
      requests.push_back(*std::move(request));
    }
    std::vector<absl::StatusOr<Json>> results;
    if (!requests.empty()) results = answer(requests);
    for (size_t i = 0; i < results.size(); ++i) pending[asked[i]].result = std::move(results[i]);
    for (const Pending& one : pending) {
      if (one.result.ok()) {
        PrintLine(*one.result);
        continue;
      }
      failed = true;
      PrintLine({{"error", fmt::format("line {}: {}", one.line,
                                       std::string(one.result.status().message()))}});
    }
    std::fflush(stdout);
  }
  return failed ? 1 : 0;
}

int FilterEachLine(const std::function<absl::StatusOr<Json>(const Json& request)>& answer) {
  return FilterLines(1, [&](const std::vector<Json>& requests) {
    std::vector<absl::StatusOr<Json>> results;
    try {
      results.push_back(answer(requests.front()));
    } catch (...) {
      results.push_back(StatusOfCurrentException());
    }
    return results;
  });
}

absl::StatusOr<double> NumberOr(const Json& request, const char* key, double fallback) {
  const auto found = request.find(key);
  if (found == request.end()) return fallback;
  if (!found->is_number()) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is {}, expected a number", key, found->type_name()));
  }
  return found->get<double>();
}

absl::StatusOr<std::string> StringAt(const Json& request, const char* key) {
  const auto found = request.find(key);
  if (found == request.end()) {
    return absl::InvalidArgumentError(fmt::format("expected \"{}\"", key));
  }
  if (!found->is_string()) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is {}, expected a string", key, found->type_name()));
  }
  return found->get<std::string>();
}

}  // namespace tanren::trainer
