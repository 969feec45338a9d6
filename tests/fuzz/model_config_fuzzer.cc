// A config.json; one that is taken is written and read again.
#include <string>

#include "runtime/formats/model_config.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  const auto config = formats::ModelConfigFromJson(fuzz::Text(data, size), "config.json");
  if (!config.ok()) return 0;
  const auto again = formats::ModelConfigFromJson(formats::ToJson(*config), "written");
  fuzz::Demand(again.ok(), "a configuration that was written can be read");
  if (config->num_hidden_layers <= 1000) {
    (void)formats::ModelTensors(*config, formats::DType::kF32);
  }
  return 0;
}
