// Text that knows where its bytes came from: the base of loss masks. A chat template concatenates,
// slices and rewrites the strings of messages; every byte keeps the field it was taken from.
#ifndef TANREN_RUNTIME_TEXT_TRACKED_TEXT_H_
#define TANREN_RUNTIME_TEXT_TRACKED_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tanren::text {

// One value inside the messages of a conversation.
struct Origin {
  int message = -1;   // index in the conversation
  std::string field;  // "content", "tool_calls[0].function.name"; empty: the message itself
  // A string's bytes; a number's JSON text; empty for all else.
  std::string source;
};

// Bytes [begin, end) of a text, alike in where they came from.
struct Span {
  size_t begin = 0;
  size_t end = 0;
  int message = -1;         // the message that the template's loop was at; -1: none
  int origin = -1;          // index of the Origin; -1: the template's own text
  size_t source_begin = 0;  // offset in Origin::source, where `copied`
  bool copied = false;      // byte for byte from Origin::source[source_begin...]
  bool generated = false;   // written inside {% generation %}
};

// UTF-8 bytes and their spans. Spans are sorted and disjoint; bytes in no span are the template's
// own, written at no message.
class TrackedText {
 public:
  TrackedText() = default;
  explicit TrackedText(std::string_view bytes) : bytes_(bytes) {}
  // A whole field of a message. `copied` is false where the bytes only stand for the value.
  TrackedText(std::string_view bytes, int origin, bool copied);

  std::string_view bytes() const { return bytes_; }
  const std::vector<Span>& spans() const { return spans_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  void Append(std::string_view bytes) { bytes_ += bytes; }
  void Append(const TrackedText& other) { AppendSlice(other, 0, other.size()); }
  // Bytes [begin, end) of `other`, which must not be this text.
  void AppendSlice(const TrackedText& other, size_t begin, size_t end);
  // `bytes`, which stand for other's [begin, end) without being its copy (an escape, another case).
  void AppendChanged(std::string_view bytes, const TrackedText& other, size_t begin, size_t end);
  TrackedText Slice(size_t begin, size_t end) const;

  // Declares that bytes which belong to no message yet are written at `message`; -1 changes
  // nothing.
  void WrittenAt(int message);
  void MarkGenerated();
  void FillGaps();  // gives every byte a span

 private:
  void AppendSpan(Span span);  // merges it with the last one where they continue each other

  std::string bytes_;
  std::vector<Span> spans_;
};

}  // namespace tanren::text

#endif  // TANREN_RUNTIME_TEXT_TRACKED_TEXT_H_
