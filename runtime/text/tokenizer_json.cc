// Reads a tokenizer.json.
#include "runtime/text/json_place.h"
#include "runtime/text/tokenizer_parts.h"

namespace tanren::text {
namespace {

using nlohmann::json;

constexpr size_t kMaximumFile = size_t{1} << 28;  // bytes; the largest published are 40 MB
constexpr int kMaximumDepth = 64;
// Ids may have gaps, but a table by id must not be much longer than the file.
constexpr int64_t kMaximumGap = 1 << 16;

BpeOptions ReadOptions(const JsonPlace& model, const Vocabulary& vocabulary) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (model.Has(key) && !model.Get(key).String().empty()) model.Get(key).Expected("none");
  }
  if (model.Bool("byte_fallback", false)) {
    model.Get("byte_fallback").Fail("SentencePiece's byte_fallback is not supported");
  }
  if (model.Has("dropout") && model.json().at("dropout") != json(0.0)) {
    model.Get("dropout").Expected("none: dropout makes ids random");
  }
  BpeOptions options;
  options.ignore_merges = model.Bool("ignore_merges", false);
  options.fuse_unknown = model.Bool("fuse_unk", false);
  if (model.Has("unk_token") && !model.Get("unk_token").String().empty()) {
    options.unknown_id = vocabulary.Find(model.Get("unk_token").String());
    if (!options.unknown_id) model.Get("unk_token").Expected("a token of the vocabulary");
  }
  return options;
}

void ReadVocabulary(const JsonPlace& vocab, Vocabulary* vocabulary) {
  if (!vocab.json().is_object()) vocab.Expected("an object");
  for (const auto& [text, id] : vocab.json().items()) {
    const int64_t value = JsonPlace(id, fmt::format("{}[\"{}\"]", vocab.path(), text)).Integer();
    try {
      vocabulary->Add(text, value);
    } catch (const Error& error) {
      vocab.Fail(error.what());
    }
  }
}

std::vector<BpeMerge> ReadMerges(const JsonPlace& list, const Vocabulary& vocabulary) {
  std::vector<BpeMerge> merges;
  merges.reserve(list.Size());
  for (size_t i = 0; i < list.Size(); ++i) {
    const json& merge = list.json()[i];
    try {
      if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        merges.push_back(ResolveMerge(vocabulary, merge[0].get_ref<const std::string&>(),
                                      merge[1].get_ref<const std::string&>()));
      } else {
        merges.push_back(ResolveMerge(vocabulary, list.At(i).String()));
      }
    } catch (const Error& error) {
      list.At(i).Fail(error.what());
    }
  }
  return merges;
}

std::vector<AddedToken> ReadAdded(const JsonPlace& list, Vocabulary* vocabulary) {
  std::vector<AddedToken> tokens;
  for (size_t i = 0; i < list.Size(); ++i) {
    const JsonPlace place = list.At(i);
    AddedToken token;
    const int64_t id = place.Get("id").Integer();
    if (id < 0 || id > INT32_MAX) place.Get("id").Expected("a token's id");
    token.id = static_cast<int32_t>(id);
    token.content = place.Get("content").String();
    token.special = place.Bool("special", false);
    token.single_word = place.Bool("single_word", false);
    token.lstrip = place.Bool("lstrip", false);
    token.rstrip = place.Bool("rstrip", false);
    token.normalized = place.Bool("normalized", !token.special);
    try {
      vocabulary->AddAdded(token);
    } catch (const Error& error) {
      place.Fail(error.what());
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

TokenizerParts ReadParts(const json& document, std::string_view where) {
  const JsonPlace root(document, std::string(where));
  const JsonPlace model = root.Get("model");
  if (model.Has("type") && model.Get("type").String() != "BPE")
    model.Get("type").Expected("\"BPE\"");
  const JsonPlace vocab = model.Get("vocab");
  const auto count = static_cast<int64_t>(vocab.json().size());
  const auto added =
      root.Has("added_tokens") ? static_cast<int64_t>(root.Get("added_tokens").Size()) : 0;
  TokenizerParts parts;
  parts.vocabulary = Vocabulary(2 * (count + added) + kMaximumGap);
  ReadVocabulary(vocab, &parts.vocabulary);
  parts.merges = ReadMerges(model.Get("merges"), parts.vocabulary);
  parts.options = ReadOptions(model, parts.vocabulary);
  if (added > 0) parts.added = ReadAdded(root.Get("added_tokens"), &parts.vocabulary);
  parts.pipeline = ReadPipeline(document, where);
  return parts;
}

}  // namespace

json ParseJson(std::string_view text, std::string_view where) {
  if (text.size() > kMaximumFile) {
    throw Error(absl::ResourceExhaustedError(
        fmt::format("{}: {} bytes, more than {}", where, text.size(), kMaximumFile)));
  }
  // Keys that are given twice would overwrite each other without a word: count them.
  std::vector<size_t> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMaximumDepth) {
      throw Error(absl::InvalidArgumentError(
          fmt::format("{}: nested more than {} deep", where, kMaximumDepth)));
    }
    if (event == json::parse_event_t::object_start) keys.push_back(0);
    if (event == json::parse_event_t::key) ++keys.back();
    if (event == json::parse_event_t::object_end) {
      if (parsed.size() != keys.back()) {
        throw Error(absl::InvalidArgumentError(
            fmt::format("{}: an object of {} entries gives {} of its keys twice", where,
                        keys.back(), keys.back() - parsed.size())));
      }
      keys.pop_back();
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception& error) {
    throw Error(absl::InvalidArgumentError(fmt::format("{}: {}", where, error.what())));
  }
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromJson(std::string_view tokenizer_json,
                                                               std::string_view where) try {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      Create(ReadParts(ParseJson(tokenizer_json, where), where));
  if (!tokenizer.ok()) return Annotate(tokenizer.status(), where);
  return tokenizer;
} catch (...) {
  return StatusOfCurrentException();
}

absl::Status ApplyTokenizerConfig(std::string_view tokenizer_config_json, std::string_view where,
                                  Tokenizer* tokenizer) try {
  const json document = ParseJson(tokenizer_config_json, where);
  const JsonPlace root(document, std::string(where));
  SpecialTokenIds ids = tokenizer->special_ids();
  const auto read = [&](const char* key, std::optional<int32_t>* id) {
    if (!root.Has(key)) return;
    const JsonPlace place = root.Get(key);
    const JsonPlace content = place.json().is_object() ? place.Get("content") : place;
    *id = tokenizer->TokenToId(content.String());
    if (!*id) content.Expected("a token of the vocabulary");
  };
  read("bos_token", &ids.bos);
  read("eos_token", &ids.eos);
  read("pad_token", &ids.pad);
  read("unk_token", &ids.unk);
  return tokenizer->set_special_ids(ids);
} catch (...) {
  return StatusOfCurrentException();
}

}  // namespace tanren::text
