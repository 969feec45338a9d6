#include "runtime/text/source_map.h"

#include <algorithm>

namespace tanren::text {

void SourceMap::AppendCopy(size_t bytes, size_t source_begin) {
  if (bytes == 0) return;
  const size_t at = runs_.empty() ? 0 : runs_.back().text_end;
  runs_.push_back({at, at + bytes, source_begin, source_begin + bytes, true});
}

void SourceMap::AppendReplacement(size_t bytes, size_t source_begin, size_t source_end) {
  if (bytes == 0) return;
  const size_t at = runs_.empty() ? 0 : runs_.back().text_end;
  runs_.push_back({at, at + bytes, source_begin, source_end, false});
}

const SourceMap::Run& SourceMap::RunAt(size_t byte) const {
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), byte,
                                      [](size_t b, const Run& run) { return b < run.text_end; });
  return after == runs_.end() ? runs_.back() : *after;
}

size_t SourceMap::SourceBegin(size_t byte) const {
  const Run& run = RunAt(byte);
  if (byte >= run.text_end) return run.source_end;
  return run.copy ? run.source_begin + (byte - run.text_begin) : run.source_begin;
}

size_t SourceMap::SourceEnd(size_t byte) const {
  const Run& run = RunAt(byte - 1);
  return run.copy ? run.source_begin + (byte - run.text_begin) : run.source_end;
}

ByteRange SourceMap::Source(size_t begin, size_t end) const {
  size_t source_begin = begin + shift_;
  size_t source_end = end + shift_;
  if (!runs_.empty()) {
    source_begin = SourceBegin(begin);
    source_end = end > begin ? SourceEnd(end) : source_begin;
  }
  if (parent_ != nullptr) return parent_->Source(source_begin, source_end);
  return {static_cast<int64_t>(source_begin), static_cast<int64_t>(source_end)};
}

}  // namespace tanren::text
