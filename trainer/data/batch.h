// What one forward and backward pass reads: documents laid end to end.
#ifndef TANREN_TRAINER_DATA_BATCH_H_
#define TANREN_TRAINER_DATA_BATCH_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "trainer/data/document.h"

namespace tanren::trainer {

// One micro-batch of one rank: N documents, T tokens in all. Position t predicts targets_T[t], the
// token after it in the same document; a document's last position predicts nothing and has weight
// 0.
struct Batch {
  at::Tensor tokens_T;             // int64
  at::Tensor positions_T;          // int64, from 0 in each document
  at::Tensor document_offsets_N1;  // int64 [N + 1]: document n is [offsets[n], offsets[n + 1])
  at::Tensor targets_T;            // int64; 0 where nothing is predicted
  at::Tensor weights_T;            // fp32, by the position that predicts

  int64_t token_count() const { return tokens_T.numel(); }
};

// Lays the documents end to end. No padding: positions that see nothing of each other need none.
// Requires at least one document, none of them empty, and as many weights as tokens in each.
Batch MakeBatch(std::span<const Document* const> documents);

// The sum of the weights, in fp64: what the step's loss is divided by once it is summed over all
// micro-batches and ranks.
double TargetWeight(const Batch& batch);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_BATCH_H_
