// A checkpoint's index.json, beside two files of pieces.
#include <vector>

#include "parallel/checkpoint/load_plan.h"
#include "parallel/checkpoint/manifest.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  const auto index = parallel::ParseIndex(std::string(fuzz::Text(data, size)),
                                          {{"rank-0.bin", 1 << 22}, {"rank-1.bin", 4096}});
  if (!index.ok()) return 0;
  std::vector<parallel::StoredPiece> pieces;
  for (const parallel::IndexedPiece& one : *index) pieces.push_back(one.piece);
  const auto stored = parallel::StoredTensors::Make(pieces);
  if (!stored.ok()) return 0;
  for (const auto& [id, shape] : stored->shapes()) {
    const auto count = parallel::ElementCount(shape);
    fuzz::Demand(count.ok(), "a stored tensor can be counted");
    fuzz::Demand(stored->Plan(id, {0, *count}).ok(), "a stored tensor can be read whole");
  }
  fuzz::Demand(parallel::ParseIndex(parallel::IndexText(*index),
                                    {{"rank-0.bin", 1 << 22}, {"rank-1.bin", 4096}})
                   .ok(),
               "an index that was written can be read");
  return 0;
}
