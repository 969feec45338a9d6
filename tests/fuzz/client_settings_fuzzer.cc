// A person's client.yaml: each setting is text, and a path is absolute.
#include <filesystem>

#include "coordinator/client/settings_file.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  static const fuzz::InputFolder folder;
  const auto path = folder.Write("client.yaml", fuzz::Text(data, size));
  const auto settings = coordinator::ReadSettings(path);
  if (!settings.ok()) return 0;
  for (const auto& [key, value] : *settings) {
    fuzz::Demand(key == "address" || value.empty() || std::filesystem::path(value).is_absolute(),
                 "a path is absolute");
  }
  return 0;
}
