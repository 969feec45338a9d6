// For targets that read messages: protobuf would tell of each text in them that isn't UTF-8, and a
// fuzzer hears of nothing else.
#ifndef TANREN_TESTS_FUZZ_FUZZ_PROTOBUF_H_
#define TANREN_TESTS_FUZZ_FUZZ_PROTOBUF_H_

#include "google/protobuf/stubs/logging.h"

namespace tanren::fuzz {

inline const bool protobuf_is_quiet = [] {
  google::protobuf::SetLogHandler(nullptr);
  return true;
}();

}  // namespace tanren::fuzz

#endif  // TANREN_TESTS_FUZZ_FUZZ_PROTOBUF_H_
