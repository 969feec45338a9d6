// A checkpoint's manifest.json, with a checksum that fits where it can have one.
#include "nlohmann/json.hpp"
#include "parallel/checkpoint/checksum.h"
#include "parallel/checkpoint/manifest.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

// So that the parser is reached behind the checksum.
std::string WithChecksum(const std::string& text) {
  using Json = nlohmann::json;
  int deepest = 0;
  const Json::parser_callback_t watch = [&](int depth, Json::parse_event_t, Json&) {
    deepest = std::max(deepest, depth);
    return true;
  };
  Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (!json.is_object() || deepest > 1000) return text;
  json.erase("checksum");
  try {
    json["checksum"] =
        tanren::parallel::ChecksumText(tanren::parallel::Checksum(std::string_view(json.dump())));
    return json.dump();
  } catch (const Json::exception&) {
    return text;  // not UTF-8
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  const std::string text(fuzz::Text(data, size));
  (void)parallel::ParseManifest(text);
  const auto manifest = parallel::ParseManifest(WithChecksum(text));
  if (!manifest.ok()) return 0;
  const auto written = parallel::ManifestText(*manifest);
  fuzz::Demand(written.ok(), "a manifest that was read can be written");
  fuzz::Demand(parallel::ParseManifest(*written).ok(), "and read again");
  return 0;
}
