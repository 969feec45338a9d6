#include "tests/runtime/text/golden_samples.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"

namespace tanren::text {
namespace {

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t at = 0; at + 1 < hex.size(); at += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

GoldenSample ReadSample(const std::string& line) {
  const auto json = nlohmann::json::parse(line);
  GoldenSample sample;
  sample.line = line;
  sample.text = json.contains("bytes") ? FromHex(json["bytes"]) : json["text"].get<std::string>();
  sample.ids = json["ids"].get<std::vector<int32_t>>();
  sample.plain = json.value("plain", sample.ids);
  if (json.contains("offsets")) json["offsets"].get_to(sample.offsets);
  sample.decoded = json.value("decoded", sample.text);
  sample.decoded_skip = json.value("decoded_skip", sample.decoded);
  return sample;
}

}  // namespace

std::string GoldenFolder() {
  const char* corpus = std::getenv("TANREN_TOKENIZER_CORPUS");
  return corpus != nullptr ? corpus : "tests/golden/tokenizer";
}

std::string ReadGoldenFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  TANREN_CHECK(file.good(), "cannot read {}", path);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

std::vector<GoldenSample> ReadGoldenSamples(const std::string& kind) {
  const std::string path = GoldenFolder() + "/" + kind + ".samples.jsonl";
  std::istringstream lines(ReadGoldenFile(path));
  std::vector<GoldenSample> samples;
  for (std::string line; std::getline(lines, line);) samples.push_back(ReadSample(line));
  TANREN_CHECK(samples.size() >= 200, "{} has {} lines only", path, samples.size());
  return samples;
}

std::string KindOf(const testing::TestParamInfo<PublishedTokenizer>& info) {
  return info.param.kind;
}

void ExpectGoldenSamples(const Tokenizer& tokenizer, const std::string& kind) {
  for (const GoldenSample& sample : ReadGoldenSamples(kind)) {
    ASSERT_EQ(tokenizer.Encode(sample.text, SpecialTokens::kParse), sample.ids) << sample.line;
    ASSERT_EQ(tokenizer.Encode(sample.text, SpecialTokens::kPlainText), sample.plain)
        << sample.line;
    ASSERT_EQ(tokenizer.Decode(sample.ids, false), sample.decoded) << sample.line;
    ASSERT_EQ(tokenizer.Decode(sample.ids, true), sample.decoded_skip) << sample.line;
  }
}

}  // namespace tanren::text
