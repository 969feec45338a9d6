#include "parallel/optimizer/update.h"

#include <string>
#include <vector>

#include "fmt/ranges.h"
#include "parallel/optimizer/gradient_norm.h"
#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

// Where it spreads, it is in nearly all of them: the first few say as much.
std::string NamesText(const std::vector<std::string>& names) {
  constexpr size_t kMost = 4;
  if (names.size() <= kMost) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kMost - 1, ", "),
                     names.size() - (kMost - 1));
}

}  // namespace

UpdateOutcome UpdateParameters(Optimizer& optimizer, comm::Communicator& shard_axis,
                               double learning_rate, const UpdateOptions& options,
                               LossScaler* scaler) {
  const GradientNorm scaled = GlobalGradientNorm(optimizer.shards(), shard_axis);
  const double unscale = scaler == nullptr ? 1 : 1 / scaler->scale();
  const UpdateOutcome outcome{scaled.norm * unscale, scaled.not_finite};
  bool may_skip = options.skip_not_finite;
  if (scaler != nullptr) {
    const double scale_before = scaler->scale();
    scaler->Update(scaled.finite());
    may_skip = may_skip || scaler->scale() < scale_before;
  }
  if (outcome.skipped()) {
    if (may_skip) return outcome;
    throw Error(absl::InternalError(
        fmt::format("gradients of {} are NaN or infinite", NamesText(outcome.not_finite))));
  }
  const double clip = options.max_norm ? ClipFactor(outcome.gradient_norm, *options.max_norm) : 1;
  optimizer.Step(learning_rate, unscale * clip);
  return outcome;
}

}  // namespace tanren::parallel
