#include "coordinator/server/submission.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/config/recipe_file.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kLongestSpec = 2 << 20;
constexpr int64_t kLongestRecipe = 1 << 20;
// An array's jobs each hold their own copy.
constexpr int64_t kLongestArray = 64 << 20;

absl::Status CheckSizes(const JobSpec& spec) {
  const auto bytes = static_cast<int64_t>(spec.ByteSizeLong());
  if (bytes > kLongestSpec) {
    return absl::InvalidArgumentError(
        fmt::format("spec: {} bytes; at most {} are taken", bytes, kLongestSpec));
  }
  const auto recipe = static_cast<int64_t>(spec.recipe().recipe().size());
  if (recipe > kLongestRecipe) {
    return absl::InvalidArgumentError(
        fmt::format("recipe: {} bytes; at most {} are taken", recipe, kLongestRecipe));
  }
  const int64_t jobs = std::max(1, spec.array_size());
  if (jobs > 1 && bytes * jobs > kLongestArray) {
    return absl::InvalidArgumentError(
        fmt::format("array_size: {} jobs of {} bytes each; an array may take {} bytes together",
                    jobs, bytes, kLongestArray));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSubmission(const JobSpec& spec, const CoreOptions& options) {
  TANREN_RETURN_IF_ERROR(CheckSizes(spec));
  if (spec.has_command() && !options.allow_commands) {
    return absl::PermissionDeniedError(
        "command: this coordinator takes recipes only; its administrator can allow commands with "
        "--allow-commands");
  }
  TANREN_RETURN_IF_ERROR(CheckSpec(spec, options));
  if (spec.has_recipe()) {
    const std::string name = spec.name().empty() ? "recipe" : spec.name();
    TANREN_RETURN_IF_ERROR(ParseRecipe(spec.recipe().recipe(), name + ".yaml").status());
  }
  return absl::OkStatus();
}

}  // namespace tanren::coordinator
