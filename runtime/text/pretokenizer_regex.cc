#include "runtime/text/pretokenizer_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "runtime/base/error.h"

namespace tanren::text {
namespace {

constexpr size_t kMaximumPattern = 16384;       // bytes
constexpr uint32_t kMatchLimit = 100'000'000;   // steps of one match
constexpr uint32_t kHeapLimit = 256 * 1024;     // KiB, for the interpreter where there is no JIT
constexpr size_t kJitStack = 16 * 1024 * 1024;  // bytes, taken only if 32 KiB are not enough

std::string ErrorText(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

template <auto Free>
struct Releases {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using MatchData = std::unique_ptr<pcre2_match_data, Releases<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Releases<pcre2_match_context_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Releases<pcre2_jit_stack_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Releases<pcre2_compile_context_free>>;

// What one search needs besides the pattern.
struct Search {
  MatchData data;
  MatchContext context{pcre2_match_context_create(nullptr)};
  JitStack stack;

  explicit Search(const pcre2_code* code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)) {
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimit);
  }

  int Match(const pcre2_code* code, std::string_view text, size_t begin) {
    int found = Run(code, text, begin);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT && stack == nullptr) {
      stack.reset(pcre2_jit_stack_create(32 * 1024, kJitStack, nullptr));
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
      found = Run(code, text, begin);
    }
    return found;
  }

 private:
  int Run(const pcre2_code* code, std::string_view text, size_t begin) {
    return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), begin,
                       PCRE2_NO_UTF_CHECK, data.get(), context.get());
  }
};

}  // namespace

std::string RegexUnicodeVersion() {
  std::array<char, 64> version{};
  pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version.data());
  return version.data();
}

void Regex::CodeDeleter::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

absl::StatusOr<Regex> Regex::Compile(std::string_view pattern) {
  if (pattern.size() > kMaximumPattern) {
    return absl::InvalidArgumentError(
        fmt::format("the pattern has {} bytes, more than {}", pattern.size(), kMaximumPattern));
  }
  TANREN_ASSIGN_OR_RETURN(const std::string translated, TranslatePattern(pattern));
  const CompileContext context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t place = 0;
  Regex regex;
  regex.pattern_ = pattern;
  // In Ruby's syntax ^ and $ always stand for the ends of lines.
  regex.code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                                  translated.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE,
                                  &error, &place, context.get()));
  if (regex.code_ == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("the pattern '{}': {} near '{}'", pattern, ErrorText(error),
                    translated.substr(std::min(place, translated.size()))));
  }
  pcre2_jit_compile(regex.code_.get(), PCRE2_JIT_COMPLETE);  // without it matching is slower only
  return regex;
}

std::vector<TextSpan> Regex::FindAll(std::string_view valid_text) const {
  std::vector<TextSpan> spans;
  Search search(code_.get());
  size_t begin = 0;
  while (begin < valid_text.size()) {
    const int found = search.Match(code_.get(), valid_text, begin);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw Error(absl::ResourceExhaustedError(
          fmt::format("splitting {} bytes of text by '{}', at byte {}: {}", valid_text.size(),
                      pattern_, begin, ErrorText(found))));
    }
    const size_t* ends = pcre2_get_ovector_pointer(search.data.get());
    if (ends[1] > ends[0]) {
      spans.push_back({ends[0], ends[1]});
      begin = ends[1];
    } else {  // empty: go on after the next character
      begin = std::max(begin, ends[1]) + 1;
      while (begin < valid_text.size() && (static_cast<uint8_t>(valid_text[begin]) & 0xC0) == 0x80)
        ++begin;
    }
  }
  return spans;
}

}  // namespace tanren::text
