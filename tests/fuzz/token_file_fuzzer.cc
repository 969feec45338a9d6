// A token's file: refused, or text that can stand in a header.
#include <sys/stat.h>

#include <cctype>

#include "coordinator/wire/token_file.h"
#include "runtime/base/error.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  static const fuzz::InputFolder folder;
  const auto path = folder.Write("token", fuzz::Text(data, size));
  fuzz::Demand(chmod(path.c_str(), 0600) == 0, "the file can be made private");
  const auto token = coordinator::ReadToken(path);
  if (!token.ok()) return 0;
  fuzz::Demand(!token->empty(), "a token isn't empty");
  for (const unsigned char c : *token) {
    fuzz::Demand(c > ' ' && c < 127, "a token can stand in a header");
  }
  return 0;
}
