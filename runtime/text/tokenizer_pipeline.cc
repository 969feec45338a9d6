// The steps around the model in a tokenizer.json: normaliser, pre-tokenizer, post-processor,
// decoder.
#include <map>

#include "runtime/text/json_place.h"
#include "runtime/text/tokenizer_parts.h"

namespace tanren::text {
namespace {

// The value's type, or "" for null.
std::string TypeOf(const JsonPlace& place) {
  return place.json().is_null() ? "" : place.Get("type").String();
}

[[noreturn]] void Unsupported(const JsonPlace& place, std::string_view expected) {
  throw Error(absl::UnimplementedError(fmt::format("{}: \"{}\" is not supported, expected {}",
                                                   place.path(), TypeOf(place), expected)));
}

bool ReadNormalizer(const JsonPlace& place) {
  const std::string type = TypeOf(place);
  if (type.empty()) return false;
  if (type == "NFC") return true;
  if (type != "Sequence") Unsupported(place, "null, NFC or a Sequence of them");
  const JsonPlace list = place.Get("normalizers");
  bool nfc = false;
  for (size_t i = 0; i < list.Size(); ++i) nfc |= ReadNormalizer(list.At(i));
  return nfc;
}

SplitBehavior ReadBehavior(const JsonPlace& place) {
  static const std::map<std::string, SplitBehavior> kNames = {
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous}};
  const auto found = kNames.find(place.String());
  if (found == kNames.end()) {
    place.Expected("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
  }
  return found->second;
}

Regex CompileAt(const JsonPlace& place, std::string_view pattern) {
  absl::StatusOr<Regex> regex = Regex::Compile(pattern);
  ThrowIfError(Annotate(regex.status(), place.path()));
  return *std::move(regex);
}

std::unique_ptr<PreTokenizer> ReadSplit(const JsonPlace& place) {
  const JsonPlace pattern = place.Get("pattern");
  const SplitBehavior behavior = ReadBehavior(place.Get("behavior"));
  const bool invert = place.Bool("invert", false);
  if (pattern.Has("String")) {
    return MakeLiteralSplit(pattern.Get("String").String(), behavior, invert);
  }
  const JsonPlace regex = pattern.Get("Regex");
  return MakeRegexSplit(CompileAt(regex, regex.String()), behavior, invert);
}

// ByteLevel also turns the text into the byte alphabet, so nothing may come after it.
void ReadPreTokenizer(const JsonPlace& place, Pipeline* pipeline, bool* byte_level) {
  const std::string type = TypeOf(place);
  if (type == "Sequence") {
    const JsonPlace list = place.Get("pretokenizers");
    for (size_t i = 0; i < list.Size(); ++i) ReadPreTokenizer(list.At(i), pipeline, byte_level);
    return;
  }
  if (*byte_level) Unsupported(place, "nothing after ByteLevel");
  auto& steps = pipeline->steps;
  if (type == "Split") {
    steps.push_back(ReadSplit(place));
  } else if (type == "Digits") {
    steps.push_back(MakeDigits(place.Bool("individual_digits", false)));
  } else if (type == "ByteLevel") {
    *byte_level = true;
    if (place.Bool("add_prefix_space", true)) steps.push_back(MakePrefixSpace());
    if (place.Bool("use_regex", true)) {
      steps.push_back(
          MakeRegexSplit(CompileAt(place, Gpt2Pattern()), SplitBehavior::kIsolated, false));
    }
  } else {
    Unsupported(place, "Split, Digits, ByteLevel or a Sequence of them that ends with ByteLevel");
  }
}

void ReadTemplate(const JsonPlace& place, Pipeline* pipeline) {
  const JsonPlace list = place.Get("single");
  std::vector<int32_t>* side = &pipeline->prefix;
  for (size_t i = 0; i < list.Size(); ++i) {
    const JsonPlace piece = list.At(i);
    if (piece.Has("Sequence")) {
      if (side == &pipeline->suffix) piece.Fail("the text stands twice in the template");
      side = &pipeline->suffix;
      continue;
    }
    const std::string& name = piece.Get("SpecialToken").Get("id").String();
    const JsonPlace ids = place.Get("special_tokens").Get(name.c_str()).Get("ids");
    for (size_t k = 0; k < ids.Size(); ++k) {
      const int64_t id = ids.At(k).Integer();
      if (id < 0 || id > INT32_MAX) ids.At(k).Expected("a token's id");
      side->push_back(static_cast<int32_t>(id));
    }
  }
  if (side == &pipeline->prefix) list.Fail("the text is not in the template");
}

void ReadPostProcessor(const JsonPlace& place, Pipeline* pipeline) {
  const std::string type = TypeOf(place);
  if (type.empty() || type == "ByteLevel") return;  // ByteLevel trims offsets only
  if (type == "TemplateProcessing") {
    if (!pipeline->prefix.empty() || !pipeline->suffix.empty()) {
      Unsupported(place, "one TemplateProcessing");
    }
    ReadTemplate(place, pipeline);
  } else if (type == "Sequence") {
    const JsonPlace list = place.Get("processors");
    for (size_t i = 0; i < list.Size(); ++i) ReadPostProcessor(list.At(i), pipeline);
  } else {
    Unsupported(place, "null, ByteLevel, TemplateProcessing or a Sequence of them");
  }
}

void CheckDecoder(const JsonPlace& place) {
  const std::string type = TypeOf(place);
  if (type == "ByteLevel" || type == "Fuse") return;
  if (type != "Sequence") Unsupported(place, "ByteLevel");
  const JsonPlace list = place.Get("decoders");
  for (size_t i = 0; i < list.Size(); ++i) CheckDecoder(list.At(i));
}

}  // namespace

Pipeline ReadPipeline(const nlohmann::json& tokenizer_json, std::string_view where) {
  static const nlohmann::json kNull;
  const JsonPlace root(tokenizer_json, std::string(where));
  const auto part = [&](const char* key) {
    return root.Has(key) ? root.Get(key) : JsonPlace(kNull, fmt::format("{}.{}", where, key));
  };
  Pipeline pipeline;
  pipeline.nfc = ReadNormalizer(part("normalizer"));
  bool byte_level = false;
  if (root.Has("pre_tokenizer")) ReadPreTokenizer(part("pre_tokenizer"), &pipeline, &byte_level);
  if (!byte_level) {
    part("pre_tokenizer").Fail("there is no ByteLevel step: only byte-level models are supported");
  }
  ReadPostProcessor(part("post_processor"), &pipeline);
  CheckDecoder(part("decoder"));
  pipeline.normalizer = part("normalizer").json().dump();
  pipeline.pre_tokenizer = part("pre_tokenizer").json().dump();
  pipeline.post_processor = part("post_processor").json().dump();
  pipeline.decoder = part("decoder").json().dump();
  return pipeline;
}

}  // namespace tanren::text
