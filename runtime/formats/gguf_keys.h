// The metadata of a model's GGUF, with the keys and types that llama.cpp reads.
#ifndef TANREN_RUNTIME_FORMATS_GGUF_KEYS_H_
#define TANREN_RUNTIME_FORMATS_GGUF_KEYS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/formats/dtype.h"
#include "runtime/formats/gguf_writer.h"
#include "runtime/formats/model_config.h"
#include "runtime/formats/model_files.h"

namespace tanren::formats {

// general.* and <architecture>.*. `dtype` is that of most of the weights. kUnimplemented for a
// family that llama.cpp has no architecture for here.
absl::StatusOr<GgufMetadata> GgufKeysOf(const ModelConfig& config, std::string_view name,
                                        DType dtype);

// Appends tokenizer.*: bos, eos and pad are the config's, of whose eos_token_ids the first is eos,
// the second eot and the third eom. kInvalidArgument for more of them, for ids that stand for no
// token, and unless there is one token for each row of the embeddings.
absl::Status AppendTokenizerKeys(const ModelConfig& config, const GgufTokenizer& tokenizer,
                                 std::string_view chat_template, GgufMetadata* metadata);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_GGUF_KEYS_H_
