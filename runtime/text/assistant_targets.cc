#include "runtime/text/assistant_targets.h"

#include <algorithm>
#include <unordered_map>

#include "fmt/format.h"
#include "runtime/text/chat_fields.h"
#include "runtime/text/python_text.h"

namespace tanren::text {

namespace {

class TargetFinder {
  static constexpr int kRepeat = -2;  // in place of an origin

 public:
  TargetFinder(const RenderedChat& chat, const TargetOptions& options)
      : chat_(chat),
        options_(options),
        // It begins an assistant's answer, and no one else's.
        prompt_(options.role == "assistant" ? chat.generation_prompt : std::string_view()),
        spans_(chat.spans) {
    LabelByContent();
    MarkRepeats();
  }

  std::vector<TargetRange> Run() {
    for (size_t i = 0; i < spans_.size();) {
      size_t next = i + 1;
      if (chat_.has_generation_blocks) {
        while (next < spans_.size() && SameBlock(i, next)) ++next;
        if (spans_[i].generated) AddGenerated(i, next);
      } else {
        while (next < spans_.size() && spans_[next].message == spans_[i].message) ++next;
        if (IsWanted(spans_[i].message)) AddWritten(i, next);
      }
      i = next;
    }
    return std::move(ranges_);
  }

  bool IsWanted(int message) const {
    if (message < 0 || chat_.roles[static_cast<size_t>(message)] != options_.role) return false;
    return options_.which == TargetOptions::Which::kAllAssistantMessages ||
           message == LastAssistant();
  }

 private:
  int LastAssistant() const {
    const auto last = std::find(chat_.roles.rbegin(), chat_.roles.rend(), options_.role);
    return static_cast<int>(chat_.roles.rend() - last) - 1;
  }

  int MessageOfOrigin(const Span& span) const {
    return span.origin < 0 ? -1 : chat_.origins[static_cast<size_t>(span.origin)].message;
  }

  // A template without a loop over messages says nowhere which one it is at: then the text from one
  // message's first bytes to the next one's is taken as written at it.
  void LabelByContent() {
    const auto labelled = [](const Span& span) { return span.message >= 0; };
    if (std::any_of(spans_.begin(), spans_.end(), labelled)) return;
    int message = -1;
    for (Span& span : spans_) {
      if (span.origin >= 0) message = MessageOfOrigin(span);
      span.message = message;
    }
  }

  // What a template writes a second time at its message (a call's name with the result) is not the
  // assistant's writing: it counts as another's.
  void MarkRepeats() {
    std::unordered_map<int, size_t> covered_to;
    for (Span& span : spans_) {
      if (!span.copied || span.message != MessageOfOrigin(span)) continue;
      size_t& covered = covered_to[span.origin];
      if (span.source_begin < covered) {
        span.origin = kRepeat;
      } else {
        covered = span.source_begin + (span.end - span.begin);
      }
    }
  }

  bool IsTarget(const Span& span) const {
    if (span.origin < 0 || MessageOfOrigin(span) != span.message) return false;
    return KindOfField(chat_.origins[static_cast<size_t>(span.origin)].field) != FieldKind::kOther;
  }

  std::string_view TextOf(size_t begin, size_t end) const {
    return std::string_view(chat_.text).substr(begin, end - begin);
  }

  bool SameBlock(size_t a, size_t b) const {
    return spans_[a].generated == spans_[b].generated && spans_[a].message == spans_[b].message;
  }

  void AddGenerated(size_t first, size_t last) {
    const int message = spans_[first].message;
    if (options_.which == TargetOptions::Which::kLastAssistantMessage &&
        message != LastAssistant()) {
      return;
    }
    const size_t begin = spans_[first].begin, end = spans_[last - 1].end;
    const std::string_view text = TextOf(begin, end);
    const bool ended = std::any_of(options_.end_tokens.begin(), options_.end_tokens.end(),
                                   [&](const std::string& token) {
                                     return !token.empty() && text.size() >= token.size() &&
                                            text.substr(text.size() - token.size()) == token;
                                   });
    ranges_.push_back({begin, end, message, ended});
  }

  // Spans [first, last) are all written at one message. Bytes of other messages (results that a
  // template writes with the call) cut them into parts; only the first part has the header.
  void AddWritten(size_t first, size_t last) {
    bool is_first = true;
    for (size_t i = first; i < last;) {
      if (IsOther(spans_[i])) {
        ++i;
        continue;
      }
      size_t next = i + 1;
      while (next < last && !IsOther(spans_[next])) ++next;
      AddPart(i, next, is_first, next == last);
      is_first = false;
      i = next;
    }
  }

  bool IsOther(const Span& span) const {
    if (span.origin == kRepeat) return true;
    return span.origin >= 0 && MessageOfOrigin(span) != span.message;
  }

  void AddPart(size_t first, size_t last, bool is_first, bool is_last) {
    const size_t part_begin = spans_[first].begin, part_end = spans_[last - 1].end;
    size_t content = first;
    while (content < last && !IsTarget(spans_[content])) ++content;
    size_t begin = 0, content_end = 0;
    if (content == last) {
      // An empty answer: its end token is all there is to learn.
      if (!is_first || !is_last) return;
      begin = content_end = HeaderEnd(part_begin, part_end);
      if (begin == part_begin) {  // no header: then nothing but white space may precede the end
        const TrackedText part(TextOf(part_begin, part_end));
        content_end = part_end - Strip(part, StripSides::kLeft).size();
        if (EndTokenAt(TextOf(content_end, part_end)) == 0) return;
      }
    } else {
      begin = is_first ? BeginOf(first, content) : spans_[content].begin;
      content_end = spans_[LastTarget(first, last)].end;
    }
    bool ended = false;
    const size_t end = EndOf(content_end, part_end, is_last ? last : spans_.size(), &ended);
    if (begin < end) ranges_.push_back({begin, end, spans_[first].message, ended});
  }

  size_t LastTarget(size_t first, size_t last) const {
    while (last > first && !IsTarget(spans_[last - 1])) --last;
    return last - 1;
  }

  size_t BeginOf(size_t first, size_t content) const {
    const size_t block_begin = spans_[first].begin;
    if (!prompt_.empty()) {
      const size_t header = HeaderEnd(block_begin, spans_[content].begin);
      return header == block_begin ? spans_[content].begin : header;
    }
    const TrackedText lead(TextOf(block_begin, spans_[content].begin));
    if (Strip(lead, StripSides::kBoth).empty()) return block_begin;
    const FieldKind kind =
        KindOfField(chat_.origins[static_cast<size_t>(spans_[content].origin)].field);
    const bool calls = kind != FieldKind::kContent && kind != FieldKind::kReasoning;
    const bool names_role = lead.bytes().find(options_.role) != std::string_view::npos;
    return calls && !names_role ? block_begin : spans_[content].begin;
  }

  // Where the generation prompt ends that stands in [begin, end); `begin` if there is none. A
  // beginning of it counts too (options may lengthen the prompt: "<think>\n\n</think>\n\n"), cut
  // back to a whole line or token.
  size_t HeaderEnd(size_t begin, size_t end) const {
    const std::string_view text = TextOf(begin, end);
    if (prompt_.empty()) return begin;
    const size_t found = text.find(prompt_);
    if (found != std::string_view::npos) return begin + found + prompt_.size();
    size_t best = 0, best_end = 0;
    for (size_t at = 0; at < text.size(); ++at) {
      const std::string_view rest = text.substr(at);
      const size_t longest = std::min(rest.size(), prompt_.size());
      size_t length = 0;
      while (length < longest && rest[length] == prompt_[length]) ++length;
      const size_t boundary = prompt_.substr(0, length).find_last_of("\n>] ");
      length = boundary == std::string_view::npos ? 0 : boundary + 1;
      if (length > best) {
        best = length;
        best_end = at + length;
      }
    }
    return begin + best_end;
  }

  // Length of the end token at the front of `text`; 0: none.
  size_t EndTokenAt(std::string_view text) const {
    size_t longest = 0;
    for (const std::string& token : options_.end_tokens) {
      if (token.size() > longest && text.substr(0, token.size()) == token) longest = token.size();
    }
    return longest;
  }

  size_t EndOf(size_t content_end, size_t block_end, size_t next_span, bool* ended) const {
    for (size_t at = content_end; at < block_end; ++at) {
      if (const size_t length = EndTokenAt(TextOf(at, block_end)); length > 0) {
        *ended = true;
        return at + length;
      }
    }
    // `{% endfor %}{{ eos_token }}`: right behind the loop over messages.
    if (next_span < spans_.size() && spans_[next_span].message < 0 && content_end == block_end) {
      const std::string_view rest = std::string_view(chat_.text).substr(block_end);
      const bool is_prompt = !prompt_.empty() && rest.substr(0, prompt_.size()) == prompt_;
      if (const size_t length = is_prompt ? 0 : EndTokenAt(rest); length > 0) {
        *ended = true;
        return block_end + length;
      }
    }
    return content_end;
  }

  const RenderedChat& chat_;
  const TargetOptions& options_;
  const std::string_view prompt_;
  std::vector<Span> spans_;
  std::vector<TargetRange> ranges_;
};

}  // namespace

AssistantTargetReport ReportAssistantTargets(const RenderedChat& chat,
                                             const TargetOptions& options) {
  TargetFinder finder(chat, options);
  AssistantTargetReport report;
  for (size_t i = 0; i < chat.roles.size(); ++i) {
    const int message = static_cast<int>(i);
    if (!finder.IsWanted(message)) continue;
    for (RoundTripProblem& problem : RoundTripProblems(chat, message)) {
      report.problems.push_back(std::move(problem));
    }
  }
  report.ranges = finder.Run();
  return report;
}

absl::StatusOr<std::vector<TargetRange>> AssistantTargets(const RenderedChat& chat,
                                                          const TargetOptions& options) {
  AssistantTargetReport report = ReportAssistantTargets(chat, options);
  if (report.problems.empty()) return std::move(report.ranges);
  std::string message = "the chat template doesn't keep the conversation:";
  for (const RoundTripProblem& problem : report.problems) {
    message += fmt::format(" messages[{}].{} {};", problem.message, problem.field, problem.what);
  }
  message.pop_back();
  return absl::InvalidArgumentError(message);
}

}  // namespace tanren::text
