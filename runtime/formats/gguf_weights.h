// The weights of a GGUF's model as Hugging Face names and orders them.
#ifndef TANREN_RUNTIME_FORMATS_GGUF_WEIGHTS_H_
#define TANREN_RUNTIME_FORMATS_GGUF_WEIGHTS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "runtime/formats/gguf.h"
#include "runtime/formats/model_config.h"

namespace tanren::formats {

// Takes over `gguf`, which has this config. Names and row order change, shapes and dtypes don't. A
// tensor of unknown name is an error, but for rope_freqs.weight, which the config accounts for.
//
// For Llama, llama.cpp rotates neighbouring rows (2j, 2j+1) of each head, Hugging Face rows (j, j +
// head_dim/2): the converter to GGUF interleaves the halves of the query and key projections, and
// this undoes it. Other families have the same order in both.
absl::StatusOr<std::unique_ptr<WeightsReader>> OpenGgufWeights(std::unique_ptr<Gguf> gguf,
                                                               const ModelConfig& config);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_GGUF_WEIGHTS_H_
