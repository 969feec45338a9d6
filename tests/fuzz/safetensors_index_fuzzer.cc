// model.safetensors.index.json, beside one file "a" with the tensors x and y.
#include <string>

#include "runtime/formats/safetensors.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

std::string Shard() {
  std::string header = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                       R"("y":{"dtype":"I64","shape":[1],"data_offsets":[8,16]}})";
  std::string file = {static_cast<char>(header.size()), 0, 0, 0, 0, 0, 0, 0};
  return file + header + std::string(16, '\0');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tanren::fuzz::InputFolder folder;
  static const auto shard = folder.Write("a", Shard());
  folder.Write("model.safetensors.index.json", tanren::fuzz::Text(data, size));
  const auto reader = tanren::formats::OpenSafetensorsDirectory(folder.path());
  if (reader.ok()) tanren::fuzz::ReadTensors(**reader);
  return 0;
}
