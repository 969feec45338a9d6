#include "runtime/text/tracked_text.h"

#include <algorithm>
#include <utility>

namespace tanren::text {

namespace {

// The first span that ends after `byte`.
std::vector<Span>::const_iterator SpanAfter(const std::vector<Span>& spans, size_t byte) {
  return std::upper_bound(spans.begin(), spans.end(), byte,
                          [](size_t at, const Span& span) { return at < span.end; });
}

}  // namespace

TrackedText::TrackedText(std::string_view bytes, int origin, bool copied) : bytes_(bytes) {
  if (bytes.empty() || origin < 0) return;
  spans_.push_back({.begin = 0, .end = bytes.size(), .origin = origin, .copied = copied});
}

void TrackedText::AppendSpan(Span span) {
  if (!spans_.empty()) {
    Span& last = spans_.back();
    const bool continues =
        !span.copied || span.source_begin == last.source_begin + (last.end - last.begin);
    if (last.end == span.begin && last.message == span.message && last.origin == span.origin &&
        last.copied == span.copied && last.generated == span.generated && continues) {
      last.end = span.end;
      return;
    }
  }
  spans_.push_back(span);
}

void TrackedText::AppendSlice(const TrackedText& other, size_t begin, size_t end) {
  const size_t base = bytes_.size();
  for (auto it = SpanAfter(other.spans_, begin); it != other.spans_.end() && it->begin < end;
       ++it) {
    Span span = *it;
    span.begin = std::max(it->begin, begin);
    span.end = std::min(it->end, end);
    if (span.copied) span.source_begin += span.begin - it->begin;
    span.begin = base + span.begin - begin;
    span.end = base + span.end - begin;
    if (span.begin < span.end) AppendSpan(span);
  }
  bytes_.append(other.bytes_, begin, end - begin);
}

void TrackedText::AppendChanged(std::string_view bytes, const TrackedText& other, size_t begin,
                                size_t end) {
  const auto it = SpanAfter(other.spans_, begin);
  if (it != other.spans_.end() && it->begin < end && !bytes.empty()) {
    Span span = *it;
    span.begin = bytes_.size();
    span.end = bytes_.size() + bytes.size();
    span.copied = false;
    span.source_begin = 0;
    AppendSpan(span);
  }
  bytes_ += bytes;
}

TrackedText TrackedText::Slice(size_t begin, size_t end) const {
  TrackedText slice;
  slice.AppendSlice(*this, begin, end);
  return slice;
}

void TrackedText::FillGaps() {
  std::vector<Span> filled;
  std::swap(filled, spans_);
  size_t at = 0;
  for (const Span& span : filled) {
    if (span.begin > at) AppendSpan({.begin = at, .end = span.begin});
    AppendSpan(span);
    at = span.end;
  }
  if (at < bytes_.size()) AppendSpan({.begin = at, .end = bytes_.size()});
}

void TrackedText::WrittenAt(int message) {
  if (message < 0) return;
  FillGaps();
  std::vector<Span> old;
  std::swap(old, spans_);
  for (Span span : old) {
    if (span.message < 0) span.message = message;
    AppendSpan(span);
  }
}

void TrackedText::MarkGenerated() {
  FillGaps();
  for (Span& span : spans_) span.generated = true;
}

}  // namespace tanren::text
