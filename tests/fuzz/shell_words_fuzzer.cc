// The text that mpirun gives its remote shell: refused, or words that hold nothing a shell would
// act on, and that quoting gives back.
#include <string>

#include "coordinator/launch/local/shell_words.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  const auto words = coordinator::ShellWords(fuzz::Text(data, size));
  if (!words.ok()) return 0;
  std::string quoted;
  for (const std::string& word : *words) {
    fuzz::Demand(
        word.find_first_of("$`\\\n\r\t") == std::string::npos && word.find('\0') == word.npos,
        "a word has no character that a shell would act on");
    if (!quoted.empty()) quoted += ' ';
    quoted += "''";
    for (const char c : word)
      quoted += c == '\'' ? std::string("\"'\"") : std::string("'") + c + "'";
  }
  const auto again = coordinator::ShellWords(quoted);
  fuzz::Demand(again.ok() && *again == *words, "quoted words are the same words");
  return 0;
}
