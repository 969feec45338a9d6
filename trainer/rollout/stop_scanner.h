// Ends a generated text before the first stop string, as the text comes in piece by piece.
#ifndef TANREN_TRAINER_ROLLOUT_STOP_SCANNER_H_
#define TANREN_TRAINER_ROLLOUT_STOP_SCANNER_H_

#include <string>
#include <string_view>
#include <vector>

namespace tanren::trainer {

class StopScanner {
 public:
  // Empty stop strings are ignored.
  explicit StopScanner(std::vector<std::string> stops);

  // What may be shown now: everything but an end that could be the start of a stop string. After a
  // stop string was found, nothing more.
  std::string Push(std::string_view piece);
  // What was held back.
  std::string Finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_ROLLOUT_STOP_SCANNER_H_
