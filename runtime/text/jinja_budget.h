// Bounds on what a rendering may take: work, size of texts, depth of calls. A template comes from
// outside and may loop or grow without end.
#ifndef TANREN_RUNTIME_TEXT_JINJA_BUDGET_H_
#define TANREN_RUNTIME_TEXT_JINJA_BUDGET_H_

#include <cstddef>

#include "runtime/text/jinja_error.h"

namespace tanren::text {

// A rendering that passes one of these ends with kResourceExhausted. The defaults are far above
// what conversations of megabytes need, and keep memory under about a gigabyte at the worst.
struct RenderLimits {
  size_t max_steps = 10'000'000;             // expressions, iterations, elements, 16 bytes of text
  size_t max_text_bytes = size_t{64} << 20;  // of the output and of any string
  int max_depth = 500;  // of nested evaluation; calls of macros take about five
};

namespace jinja {

class Budget {
 public:
  explicit Budget(const RenderLimits& limits) : limits_(limits) {}

  void Charge(size_t steps) {
    steps_ += steps;
    if (steps_ > limits_.max_steps) OverLimit("it takes more than {} steps", limits_.max_steps);
  }
  void CheckText(size_t bytes) const {
    if (bytes > limits_.max_text_bytes) {
      OverLimit("a text grows beyond {} bytes", limits_.max_text_bytes);
    }
  }
  // To be asked before `bytes` of text are made.
  void ChargeText(size_t bytes) {
    CheckText(bytes);
    Charge(1 + bytes / 16);
  }
  // The same for `count` texts of `bytes` each; the product may overflow.
  void ChargeTexts(size_t count, size_t bytes) {
    if (bytes > 0 && count > limits_.max_text_bytes / bytes) ChargeText(limits_.max_text_bytes + 1);
    ChargeText(count * bytes);
  }

  // Counts one more level of evaluation while it lives.
  class Level {
   public:
    explicit Level(Budget* budget) : budget_(budget) {
      if (budget_->depth_ >= budget_->limits_.max_depth) {
        OverLimit("evaluation nests more than {} deep", budget_->limits_.max_depth);
      }
      ++budget_->depth_;
    }
    ~Level() { --budget_->depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Budget* budget_;
  };

 private:
  RenderLimits limits_;
  size_t steps_ = 0;
  int depth_ = 0;
};

}  // namespace jinja
}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_JINJA_BUDGET_H_
