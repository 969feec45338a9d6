// A GGUF: metadata and tensors.
#include "runtime/formats/gguf.h"
#include "runtime/formats/model_config.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tanren::fuzz::InputFolder folder;
  const auto path = folder.Write("input.gguf", tanren::fuzz::Text(data, size));
  const auto gguf = tanren::formats::Gguf::Open(path);
  if (!gguf.ok()) return 0;
  for (const auto& [key, value] : (*gguf)->metadata()) {
    (void)(*gguf)->FindInt(key);
    (void)(*gguf)->FindNumber(key);
    (void)(*gguf)->FindBool(key);
    (void)(*gguf)->FindString(key);
    (void)(*gguf)->FindInts(key);
    (void)(*gguf)->FindStrings(key);
  }
  tanren::fuzz::ReadTensors(**gguf);
  (void)tanren::formats::ModelConfigFromGguf(**gguf);
  return 0;
}
