// Dynamic loss scaling for fp16: gradients too small for fp16 survive when the loss is multiplied
// by a large factor, which grows until gradients overflow. Section 3.2, arXiv:1710.03740; constants
// as torch.amp.GradScaler has them.
#ifndef TANREN_PARALLEL_OPTIMIZER_LOSS_SCALER_H_
#define TANREN_PARALLEL_OPTIMIZER_LOSS_SCALER_H_

#include <cstdint>

namespace tanren::parallel {

class LossScaler {
 public:
  struct Options {
    double initial = 65536;
    double growth = 2;
    double backoff = 0.5;
    int64_t growth_interval = 2000;  // good steps in a row before it grows
    double smallest = 1;             // it doesn't back off below this
  };
  // What a checkpoint keeps.
  struct State {
    double scale = 0;
    int64_t good_steps = 0;
    bool operator==(const State&) const = default;
  };

  explicit LossScaler(const Options& options) : options_(options), state_{options.initial, 0} {}

  // What the head multiplies its derivatives by.
  double scale() const { return state_.scale; }
  // To be told of each step whether its gradients were finite.
  void Update(bool finite);
  State state() const { return state_; }
  void set_state(State state) { state_ = state; }

 private:
  Options options_;
  State state_;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_OPTIMIZER_LOSS_SCALER_H_
