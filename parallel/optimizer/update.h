// The end of a training step: norm, check, clip, optimizer.
#ifndef TANREN_PARALLEL_OPTIMIZER_UPDATE_H_
#define TANREN_PARALLEL_OPTIMIZER_UPDATE_H_

#include <optional>
#include <string>
#include <vector>

#include "parallel/optimizer/loss_scaler.h"
#include "parallel/optimizer/optimizer.h"
#include "runtime/comm/communicator.h"

namespace tanren::parallel {

struct UpdateOptions {
  std::optional<double> max_norm;  // clip to it
  bool skip_not_finite = false;    // else a NaN or Inf gradient is an error
};

struct UpdateOutcome {
  double gradient_norm = 0;             // before clipping, of the unscaled loss
  std::vector<std::string> not_finite;  // culprit groups
  bool skipped() const { return !not_finite.empty(); }
};

// A collective with the same outcome on every rank. With a `scaler` (may be null) gradients are of
// the loss times its scale; a step that overflows is skipped, whatever the options say, unless the
// scale can't become smaller. A skipped step changes neither parameters nor optimizer state. Throws
// Error(kInternal) that names the groups where gradients aren't finite and may not be skipped.
UpdateOutcome UpdateParameters(Optimizer& optimizer, comm::Communicator& shard_axis,
                               double learning_rate, const UpdateOptions& options,
                               LossScaler* scaler);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_OPTIMIZER_UPDATE_H_
