#include "parallel/optimizer/loss_scaler.h"

#include <algorithm>

namespace tanren::parallel {

void LossScaler::Update(bool finite) {
  if (!finite) {
    state_ = {std::max(options_.smallest, state_.scale * options_.backoff), 0};
    return;
  }
  if (++state_.good_steps < options_.growth_interval) return;
  state_ = {state_.scale * options_.growth, 0};
}

}  // namespace tanren::parallel
