// How llama.cpp names and orders what Hugging Face's Llama-like models hold.
#ifndef TANREN_RUNTIME_FORMATS_GGUF_NAMES_H_
#define TANREN_RUNTIME_FORMATS_GGUF_NAMES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tanren::formats {

// Divides the rotary frequencies of all layers; no parameter of Hugging Face's model.
inline constexpr std::string_view kGgufRopeDivisors = "rope_freqs.weight";

// blk.7.attn_q.weight -> model.layers.7.self_attn.q_proj.weight, and back; nothing for a name that
// no family here has.
std::optional<std::string> HuggingFaceTensorName(std::string_view gguf_name);
std::optional<std::string> GgufTensorName(std::string_view hugging_face_name);

// Whether the rows of this parameter, by its Hugging Face name, are rotated in attention: those of
// the query and key projections.
bool HasRotatedRows(std::string_view hugging_face_name);

// Where a GGUF of a family with `gguf_interleaves_heads` keeps row `row` of such a parameter: the
// halves of each head are interleaved, j -> 2j and j + head_dim/2 -> 2j + 1.
int64_t InterleavedRow(int64_t row, int64_t head_dim);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_GGUF_NAMES_H_
