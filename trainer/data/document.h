// A document: the unit of data that is shuffled, packed and isolated. One conversation, one
// prompt with its completion, or one text.
#ifndef TANREN_TRAINER_DATA_DOCUMENT_H_
#define TANREN_TRAINER_DATA_DOCUMENT_H_

#include <cstdint>
#include <vector>

namespace tanren::trainer {

// `weights[i]` says how much the model is trained to produce `tokens[i]` from the tokens before it
// in the same document: 1 for a target, 0 for the rest. Both have the same length; weights[0] is
// ignored, for nothing comes before the first token.
struct Document {
  std::vector<int32_t> tokens;
  std::vector<float> weights;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_DOCUMENT_H_
