#include "coordinator/launch/local/shell_words.h"

#include <cctype>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

constexpr std::string_view kPlain = "%+,-./:=@^_";

bool IsPlain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 128 && (std::isalnum(byte) != 0 || kPlain.find(c) != std::string_view::npos);
}

bool MayStandQuoted(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 32 && byte != 127 && c != '$' && c != '`' && c != '\\';
}

absl::Status Refuse(std::string_view text, size_t at, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("byte {} of a remote command: {} in: {}", at, what,
                                                OnOneLine(text.substr(0, 200))));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ShellWords(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ') {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == '"' || c == '\'') {
      const size_t end = text.find(c, i + 1);
      if (end == std::string_view::npos) return Refuse(text, i, "a quote without its end");
      for (size_t j = i + 1; j < end; ++j) {
        if (!MayStandQuoted(text[j])) return Refuse(text, j, "a character with a meaning");
        words.back() += text[j];
      }
      i = end;
    } else if (IsPlain(c)) {
      words.back() += c;
    } else {
      return Refuse(text, i, "a character with a meaning");
    }
  }
  return words;
}

}  // namespace tanren::coordinator
