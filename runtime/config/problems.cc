#include "runtime/config/problems.h"

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace tanren::config {

void Problems::Add(const Place& place, const std::string& message, const std::string& key) {
  lines_.push_back(fmt::format("{}: {}", place.text, message));
  keys_.insert(key);
}

absl::Status Problems::ToStatus() const {
  if (lines_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}", fmt::join(lines_, "\n")));
}

}  // namespace tanren::config
