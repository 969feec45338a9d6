// RoundTripProblems of assistant_targets.h.
#include <algorithm>

#include "fmt/format.h"
#include "runtime/text/assistant_targets.h"
#include "runtime/text/chat_fields.h"
#include "runtime/text/python_text.h"

namespace tanren::text {

namespace {

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}
bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

}  // namespace

FieldKind KindOfField(std::string_view field) {
  if (field == "content" || (StartsWith(field, "content[") && EndsWith(field, "].text"))) {
    return FieldKind::kContent;
  }
  if (StartsWith(field, "content[") && EndsWith(field, "]") &&
      field.find('.') == std::string_view::npos) {
    return FieldKind::kContent;  // a part that is a string
  }
  if (field == "reasoning_content" || field == "reasoning" || field == "thinking") {
    return FieldKind::kReasoning;
  }
  if (!StartsWith(field, "tool_calls")) return FieldKind::kOther;
  const size_t bracket = field.find("].");
  if (bracket == std::string_view::npos) return FieldKind::kToolCall;
  std::string_view rest = field.substr(bracket + 2);
  if (StartsWith(rest, "function.")) rest = rest.substr(9);
  if (rest == "name") return FieldKind::kToolName;
  if (rest == "arguments" || StartsWith(rest, "arguments.") || StartsWith(rest, "arguments[")) {
    return FieldKind::kToolArgument;
  }
  return FieldKind::kToolCall;
}

namespace {

struct Piece {
  size_t begin, end;  // in the source
  bool may_be_absent;
};

// Without white space at its ends.
Piece Trimmed(std::string_view source, Piece piece) {
  const TrackedText text(source.substr(piece.begin, piece.end - piece.begin));
  const size_t left = text.size() - Strip(text, StripSides::kLeft).size();
  piece.begin += left;
  piece.end = piece.begin + Strip(text, StripSides::kBoth).size();
  return piece;
}

// The text of a content field and the insides of its <think> blocks. A closing tag without an
// opening one ends a block that began with the text: some prompts open it.
std::vector<Piece> PiecesOf(std::string_view source, FieldKind kind) {
  if (kind != FieldKind::kContent) {
    return {Trimmed(source, {0, source.size(), kind == FieldKind::kReasoning})};
  }
  constexpr std::string_view kOpen = "<think>", kClose = "</think>";
  std::vector<Piece> pieces;
  size_t at = 0;
  while (true) {
    const size_t close = source.find(kClose, at);
    if (close == std::string_view::npos) break;
    const size_t open = source.find(kOpen, at);
    if (open < close) pieces.push_back(Trimmed(source, {at, open, false}));
    const size_t inside = open < close ? open + kOpen.size() : at;
    pieces.push_back(Trimmed(source, {inside, close, true}));
    at = close + kClose.size();
  }
  pieces.push_back(Trimmed(source, {at, source.size(), false}));
  return pieces;
}

std::string Excerpt(std::string_view text) {
  const std::vector<size_t> offsets = CodePointOffsets(text);
  constexpr size_t kShown = 40;
  if (offsets.size() <= kShown + 1) return fmt::format("'{}'", text);
  return fmt::format("'{}...'", text.substr(0, offsets[kShown]));
}

class Checker {
 public:
  Checker(const RenderedChat& chat, int message) : chat_(chat), message_(message) {}

  std::vector<RoundTripProblem> Run() {
    for (size_t i = 0; i < chat_.origins.size(); ++i) {
      const Origin& origin = chat_.origins[i];
      if (origin.message == message_ && !origin.source.empty()) Check(static_cast<int>(i), origin);
    }
    return std::move(problems_);
  }

 private:
  void Report(const Origin& origin, std::string what) {
    problems_.push_back({message_, origin.field, std::move(what)});
  }

  // The spans of this origin: those written at its message, else all of them.
  std::vector<Span> SpansOf(int origin) const {
    std::vector<Span> all, at_message;
    for (const Span& span : chat_.spans) {
      if (span.origin != origin) continue;
      all.push_back(span);
      if (span.message == message_) at_message.push_back(span);
    }
    return at_message.empty() ? all : at_message;
  }

  // Without quotes around them and without repeats: some templates name a call again with its
  // result.
  static std::vector<Span> OnceEach(std::vector<Span> spans) {
    size_t covered_to = 0;
    std::vector<Span> once;
    for (const Span& span : spans) {
      if (!span.copied || span.source_begin < covered_to) continue;
      covered_to = span.source_begin + (span.end - span.begin);
      once.push_back(span);
    }
    return once;
  }

  void Check(int index, const Origin& origin) {
    const FieldKind kind = KindOfField(origin.field);
    if (kind == FieldKind::kOther || kind == FieldKind::kToolCall) return;
    std::vector<Span> spans = SpansOf(index);
    if (kind == FieldKind::kToolArgument) {
      if (spans.empty()) Report(origin, "is not in the rendered text");
      return;
    }
    size_t covered_to = 0;
    if (kind == FieldKind::kToolName) spans = OnceEach(std::move(spans));
    for (const Span& span : spans) {
      if (!span.copied) {
        Report(origin,
               "is altered: the rendered text has " +
                   Excerpt(std::string_view(chat_.text).substr(span.begin, span.end - span.begin)));
        return;
      }
      if (span.source_begin < covered_to) {
        Report(origin, "is in the rendered text twice or in another order");
        return;
      }
      covered_to = span.source_begin + (span.end - span.begin);
    }
    for (const Piece& piece : PiecesOf(origin.source, kind)) CheckPiece(origin, spans, piece);
  }

  void CheckPiece(const Origin& origin, const std::vector<Span>& spans, const Piece& piece) {
    // Spans go up in the source: walk them and look for the first hole.
    size_t at = piece.begin;
    bool any = false;
    for (const Span& span : spans) {
      const size_t end = span.source_begin + (span.end - span.begin);
      if (end <= piece.begin || span.source_begin >= piece.end) continue;
      any = true;
      if (span.source_begin > at) break;
      at = end;
    }
    if (at >= piece.end || (piece.may_be_absent && !any)) return;
    Report(origin,
           fmt::format("is not in the rendered text from its byte {} on: {}", at,
                       Excerpt(std::string_view(origin.source).substr(at, piece.end - at))));
  }

  const RenderedChat& chat_;
  const int message_;
  std::vector<RoundTripProblem> problems_;
};

}  // namespace

std::vector<RoundTripProblem> RoundTripProblems(const RenderedChat& chat, int message) {
  return Checker(chat, message).Run();
}

}  // namespace tanren::text
