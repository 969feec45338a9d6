#include "trainer/data/chat_tokens.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "fmt/format.h"
#include "runtime/text/chat_fields.h"

namespace tanren::trainer {
namespace {

using text::ByteRange;
using text::Encoding;
using text::RenderedChat;
using text::Span;
using text::SpecialTokens;
using text::Tokenizer;

// Bytes of the rendered text that are encoded together.
struct Segment {
  size_t begin;
  size_t end;
  SpecialTokens mode;
};

Encoding EncodeSegments(std::string_view text, const std::vector<Segment>& segments,
                        const Tokenizer& tokenizer) {
  Encoding all;
  for (const auto& [begin, end, mode] : segments) {
    const Encoding part = tokenizer.EncodeWithOffsets(text.substr(begin, end - begin), mode);
    all.ids.insert(all.ids.end(), part.ids.begin(), part.ids.end());
    const auto shift = static_cast<int64_t>(begin);
    for (const ByteRange& range : part.ranges) {
      all.ranges.push_back({range.begin + shift, range.end + shift});
    }
  }
  return all;
}

// Where the special token itself stands in its range, which may hold white space that it takes in.
std::pair<size_t, size_t> WrittenForm(std::string_view text, ByteRange range, int32_t id,
                                      const Tokenizer& tokenizer) {
  const auto begin = static_cast<size_t>(range.begin);
  const auto end = static_cast<size_t>(range.end);
  const std::string_view form = tokenizer.IdToToken(id).value_or("");
  const size_t found = text.substr(begin, end - begin).find(form);
  if (form.empty() || found == std::string_view::npos) return {begin, end};
  return {begin + found, begin + found + form.size()};
}

// The spans that share bytes with [begin, end), as indices [first, last).
std::pair<size_t, size_t> SpansAt(const std::vector<Span>& spans, size_t begin, size_t end) {
  const auto first = std::partition_point(spans.begin(), spans.end(),
                                          [begin](const Span& s) { return s.end <= begin; });
  const auto last =
      std::partition_point(first, spans.end(), [end](const Span& s) { return s.begin < end; });
  return {static_cast<size_t>(first - spans.begin()), static_cast<size_t>(last - spans.begin())};
}

// Whether a message, not the template, wrote the special token in these spans.
bool FromMessage(const RenderedChat& chat, size_t first, size_t last) {
  bool all_from_messages = first < last;
  for (size_t s = first; s < last; ++s) {
    const int origin = chat.spans[s].origin;
    if (origin < 0) {
      all_from_messages = false;
    } else if (text::KindOfField(chat.origins[static_cast<size_t>(origin)].field) !=
               text::FieldKind::kOther) {
      return true;
    }
  }
  return all_from_messages;
}

// Marks the spans [first, last) that come from messages, and those of the same value beside them.
void MarkPlain(const std::vector<Span>& spans, size_t first, size_t last,
               std::vector<bool>* plain) {
  const auto joined = [&spans](size_t a, size_t b) {
    return spans[a].origin == spans[b].origin && spans[a].end == spans[b].begin;
  };
  while (first > 0 && spans[first].origin >= 0 && joined(first - 1, first)) --first;
  while (last < spans.size() && spans[last - 1].origin >= 0 && joined(last - 1, last)) ++last;
  for (size_t s = first; s < last; ++s) (*plain)[s] = (*plain)[s] || spans[s].origin >= 0;
}

std::vector<Segment> SegmentsOf(const RenderedChat& chat, const std::vector<bool>& plain) {
  std::vector<Segment> segments;
  for (size_t s = 0; s < plain.size(); ++s) {
    const Span& span = chat.spans[s];
    const SpecialTokens mode = plain[s] ? SpecialTokens::kPlainText : SpecialTokens::kParse;
    if (!segments.empty() && segments.back().mode == mode) {
      segments.back().end = span.end;
    } else {
      segments.push_back({span.begin, span.end, mode});
    }
  }
  return segments;
}

}  // namespace

Encoding EncodeChat(const RenderedChat& chat, const Tokenizer& tokenizer) {
  std::vector<bool> plain(chat.spans.size(), false);
  Encoding encoding = tokenizer.EncodeWithOffsets(chat.text, SpecialTokens::kParse);
  // Taking one imitation out can let another one be seen. Each round marks more spans, so the
  // rounds end.
  while (true) {
    bool found = false;
    for (size_t i = 0; i < encoding.ids.size(); ++i) {
      if (!tokenizer.IsSpecial(encoding.ids[i])) continue;
      const auto [begin, end] =
          WrittenForm(chat.text, encoding.ranges[i], encoding.ids[i], tokenizer);
      const auto [first, last] = SpansAt(chat.spans, begin, end);
      if (!FromMessage(chat, first, last) || plain[first]) continue;
      MarkPlain(chat.spans, first, last, &plain);
      found = true;
    }
    if (!found) return encoding;
    encoding = EncodeSegments(chat.text, SegmentsOf(chat, plain), tokenizer);
  }
}

absl::Status CheckNoSpecialTokens(const nlohmann::ordered_json& value, const Tokenizer& tokenizer) {
  const auto check_text = [&tokenizer](const std::string& text) {
    for (const int32_t id : tokenizer.Encode(text, SpecialTokens::kParse)) {
      if (!tokenizer.IsSpecial(id)) continue;
      return absl::InvalidArgumentError(
          fmt::format("the text of the special token {} stands in \"{:.80}\"",
                      tokenizer.IdToToken(id).value_or(""), text));
    }
    return absl::OkStatus();
  };
  if (value.is_string()) return check_text(value.get_ref<const std::string&>());
  if (!value.is_structured()) return absl::OkStatus();
  for (const auto& [key, element] : value.items()) {
    if (value.is_object()) {
      if (const absl::Status status = check_text(key); !status.ok()) return status;
    }
    if (const absl::Status status = CheckNoSpecialTokens(element, tokenizer); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

std::vector<float> TargetWeights(const Encoding& encoding,
                                 const std::vector<text::TargetRange>& targets) {
  std::vector<ByteRange> merged;
  for (const text::TargetRange& target : targets) {
    const auto begin = static_cast<int64_t>(target.begin);
    const auto end = static_cast<int64_t>(target.end);
    if (!merged.empty() && merged.back().end == begin) {
      merged.back().end = end;
    } else {
      merged.push_back({begin, end});
    }
  }
  std::vector<float> weights(encoding.ids.size(), 0);
  for (size_t i = 0; i < weights.size(); ++i) {
    const ByteRange& range = encoding.ranges[i];
    const auto after = std::partition_point(
        merged.begin(), merged.end(), [&](const ByteRange& r) { return r.begin <= range.begin; });
    if (after == merged.begin()) continue;
    const ByteRange& target = *(after - 1);
    if (range.end <= target.end && range.begin < target.end) weights[i] = 1;
  }
  return weights;
}

}  // namespace tanren::trainer
