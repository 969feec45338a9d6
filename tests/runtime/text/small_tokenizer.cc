#include "tests/runtime/text/small_tokenizer.h"

#include "runtime/base/error.h"
#include "runtime/text/bpe_bytes.h"
#include "runtime/text/unicode.h"

namespace tanren::text {

using nlohmann::json;

json Added(const std::string& content, bool special) {
  return {{"content", content}, {"special", special}, {"normalized", false}};
}

json SmallTokenizer::Json() const {
  json vocabulary = json::object(), merge_list = json::array(), added_list = json::array();
  for (int byte = 0; byte < 256; ++byte) {
    std::string text;
    AppendUtf8(ByteCharacter(static_cast<uint8_t>(byte)), &text);
    vocabulary[text] = byte;
  }
  for (const auto& [left, right] : merges) {
    vocabulary[left + right] = kFirstMerge + static_cast<int32_t>(merge_list.size());
    merge_list.push_back({left, right});
  }
  for (json token : added) {
    token["id"] = kFirstAdded + static_cast<int32_t>(added_list.size());
    added_list.push_back(token);
  }
  return {{"added_tokens", added_list},
          {"normalizer", normalizer},
          {"pre_tokenizer", pre_tokenizer},
          {"post_processor", post_processor},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"ignore_merges", ignore_merges},
            {"vocab", vocabulary},
            {"merges", merge_list}}}};
}

std::unique_ptr<Tokenizer> SmallTokenizer::Load() const {
  return ValueOrThrow(Tokenizer::FromJson(Json().dump(), "small.json"));
}

}  // namespace tanren::text
