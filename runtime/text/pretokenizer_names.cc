// The pre-tokenizers that GGUF files name. What each name means is read off the tokenizer.json
// files that the models' publishers ship.
#include <array>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/text/pretokenizer.h"

namespace tanren::text {
namespace {

constexpr std::string_view kNothing = "null";
constexpr std::string_view kNfc = R"({"type":"NFC"})";

constexpr std::string_view kGpt2 =
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";

constexpr std::string_view kDigitsThenGpt2 =
    R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},)"
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]})";

// Llama 3 takes numbers in groups of three digits, Qwen digit by digit; otherwise they are alike.
constexpr std::string_view kLlama3 =
    R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":)"
    R"("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|)"
    R"( ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},)"
    R"("behavior":"Isolated","invert":false},)"
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]})";

constexpr std::string_view kQwen2 =
    R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":)"
    R"("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|)"
    R"( ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},)"
    R"("behavior":"Isolated","invert":false},)"
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false}]})";

struct Entry {
  std::string_view name;
  NamedPreTokenizer what;
};

constexpr std::array<Entry, 11> kEntries = {{
    {"gpt-2", {kNothing, kGpt2}},
    {"gpt2", {kNothing, kGpt2}},
    {"llama-bpe", {kNothing, kLlama3, true, true}},
    {"llama3", {kNothing, kLlama3, true, true}},
    {"llama-v3", {kNothing, kLlama3, true, true}},
    {"qwen2", {kNfc, kQwen2}},
    {"deepseek-r1-qwen", {kNfc, kQwen2}},
    {"smollm", {kNothing, kDigitsThenGpt2}},
    {"starcoder", {kNothing, kDigitsThenGpt2}},
    {"refact", {kNothing, kDigitsThenGpt2}},
    {"command-r", {kNfc, kDigitsThenGpt2}},
}};

using nlohmann::json;

std::string KnownNames() {
  std::string known;
  for (const Entry& entry : kEntries) {
    known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", entry.name);
  }
  return known;
}

// What tokenizer.json has in several spellings, in one: the steps without the sequences that hold
// them, GPT-2's pattern as the split that it is, and no settings of offsets.
void AppendSteps(const json& step, json* steps) {
  if (step.is_null()) return;
  const std::string type = step.value("type", "");
  const auto append_all = [&](const char* list) {
    for (const json& inner : step.at(list)) AppendSteps(inner, steps);
  };
  if (type == "Sequence") {
    append_all(step.contains("normalizers") ? "normalizers" : "pretokenizers");
  } else if (type == "Split") {
    steps->push_back({step.at("pattern"), step.at("behavior"), step.value("invert", false)});
  } else if (type == "Digits") {
    steps->push_back({type, step.value("individual_digits", false)});
  } else if (type == "ByteLevel") {
    if (step.value("add_prefix_space", true)) steps->push_back("prefix space");
    if (step.value("use_regex", true)) {
      steps->push_back({{{"Regex", Gpt2Pattern()}}, "Isolated", false});
    }
  } else {
    steps->push_back(step);
  }
}

json StepsOf(std::string_view normalizer, std::string_view pre_tokenizer) {
  json steps = json::array();
  AppendSteps(json::parse(normalizer), &steps);
  AppendSteps(json::parse(pre_tokenizer), &steps);
  return steps;
}

}  // namespace

std::string_view Gpt2Pattern() {
  return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
}

absl::StatusOr<NamedPreTokenizer> FindPreTokenizer(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.what;
  }
  return absl::UnimplementedError(
      fmt::format("the pre-tokenizer \"{}\" is not known; known are {}", name, KnownNames()));
}

absl::StatusOr<std::string_view> NameOfPreTokenizer(std::string_view normalizer,
                                                    std::string_view pre_tokenizer,
                                                    bool ignore_merges) {
  const json steps = StepsOf(normalizer, pre_tokenizer);
  for (const Entry& entry : kEntries) {
    if (entry.what.ignore_merges == ignore_merges &&
        StepsOf(entry.what.normalizer, entry.what.pre_tokenizer) == steps) {
      return entry.name;
    }
  }
  return absl::UnimplementedError(fmt::format(
      "the normalizer {} and the pre_tokenizer {}, {} ignore_merges, have no name in a GGUF that "
      "is known here; known are {}",
      normalizer, pre_tokenizer, ignore_merges ? "with" : "without", KnownNames()));
}

}  // namespace tanren::text
