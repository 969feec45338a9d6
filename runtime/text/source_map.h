// Where the bytes of a changed text came from. Repair of broken UTF-8, normalisation and inserted
// spaces change the text a tokenizer sees; token ranges still refer to the caller's bytes.
#ifndef TANREN_RUNTIME_TEXT_SOURCE_MAP_H_
#define TANREN_RUNTIME_TEXT_SOURCE_MAP_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tanren::text {

// Bytes [begin, end) of a text.
struct ByteRange {
  int64_t begin = 0;
  int64_t end = 0;
  bool operator==(const ByteRange&) const = default;
};

// Maps bytes of one text to bytes of the text it was made from, and on to that one's origin if
// there is a parent. Without runs it is a shift: byte i came from byte i + shift.
class SourceMap {
 public:
  explicit SourceMap(const SourceMap* parent = nullptr, size_t shift = 0)
      : parent_(parent), shift_(shift) {}

  // The next `bytes` bytes are copies of the source's, one for one from `source_begin` on.
  void AppendCopy(size_t bytes, size_t source_begin);
  // The next `bytes` bytes stand, all together, for the source's [source_begin, source_end).
  void AppendReplacement(size_t bytes, size_t source_begin, size_t source_end);

  // The original bytes that [begin, end) came from. Where a part of a replacement is asked for,
  // the whole replaced range is the answer, so neighbours may overlap.
  ByteRange Source(size_t begin, size_t end) const;

 private:
  struct Run {
    size_t text_begin, text_end;
    size_t source_begin, source_end;
    bool copy;
  };
  const Run& RunAt(size_t byte) const;
  size_t SourceBegin(size_t byte) const;
  size_t SourceEnd(size_t byte) const;  // the end of what byte - 1 came from

  const SourceMap* parent_;
  size_t shift_;
  std::vector<Run> runs_;
};

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_SOURCE_MAP_H_
