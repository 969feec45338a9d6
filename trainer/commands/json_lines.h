// Filters: JSON lines in, JSON lines out, in order.
#ifndef TANREN_TRAINER_COMMANDS_JSON_LINES_H_
#define TANREN_TRAINER_COMMANDS_JSON_LINES_H_

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace tanren::trainer {

// Reads lines from a file descriptor without waiting for more than was asked for.
class LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}
  // The next line without its end; nothing at the end of the input. Lines of more than 64 MiB are
  // an error (kResourceExhausted).
  absl::StatusOr<std::optional<std::string>> Next();
  // Whether Next would return without waiting for the writer.
  bool Ready() const;

 private:
  int descriptor_;
  std::string buffered_;
  size_t read_ = 0;  // of buffered_
  bool ended_ = false;
};

// Answers to several requests at once, in their order.
using BatchAnswer = std::function<std::vector<absl::StatusOr<nlohmann::ordered_json>>(
    const std::vector<nlohmann::ordered_json>& requests)>;

// Answers each line of standard input with a line on standard output; blank lines are left out. A
// request that can't be answered gives {"error": "line 3: …"}, and the exit code is then 1. At most
// `batch` requests are answered together: those that are there, without waiting for more.
int FilterLines(size_t batch, const BatchAnswer& answer);

// The same, one at a time.
int FilterEachLine(const std::function<absl::StatusOr<nlohmann::ordered_json>(
                       const nlohmann::ordered_json& request)>& answer);

// request[key], or `fallback` where it is absent; kInvalidArgument for another type.
absl::StatusOr<double> NumberOr(const nlohmann::ordered_json& request, const char* key,
                                double fallback);
absl::StatusOr<std::string> StringAt(const nlohmann::ordered_json& request, const char* key);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_COMMANDS_JSON_LINES_H_
