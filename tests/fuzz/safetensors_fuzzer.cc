// One .safetensors file.
#include "runtime/formats/safetensors.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tanren::fuzz::InputFolder folder;
  const auto path = folder.Write("input.safetensors", tanren::fuzz::Text(data, size));
  const auto reader = tanren::formats::OpenSafetensors(path);
  if (reader.ok()) tanren::fuzz::ReadTensors(**reader);
  return 0;
}
