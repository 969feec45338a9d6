// The speed of a tokenizer on one thread: usage: tokenizer_benchmark tokenizer.json TEXTS.jsonl...
//
// Each line of TEXTS is a document, as a JSON string. Every file is encoded by a tokenizer that was
// loaded for it, once, as a training's data is: nothing has been seen before. Prints one JSON
// object for each file; `ids_hash` lets benchmarks/tokenizers_against_peer.py see that the peer
// made the same ids. MB are 10^6 bytes of text.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/text/tokenizer.h"

namespace tanren::text {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  TANREN_CHECK(file.good(), "cannot read {}", path);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

// FNV-1a over the ids as 32-bit numbers, a whole number at a time.
uint64_t Hash(const std::vector<std::vector<int32_t>>& documents) {
  uint64_t hash = 14695981039346656037u;
  for (const auto& ids : documents) {
    for (const int32_t id : ids) hash = (hash ^ static_cast<uint32_t>(id)) * 1099511628211u;
  }
  return hash;
}

void Measure(const std::string& tokenizer_json, const std::string& path) {
  std::vector<std::string> documents;
  std::istringstream lines(ReadFile(path));
  size_t bytes = 0;
  for (std::string line; std::getline(lines, line);) {
    documents.push_back(nlohmann::json::parse(line).get<std::string>());
    bytes += documents.back().size();
  }
  auto start = Clock::now();
  const auto tokenizer =
      ValueOrThrow(Tokenizer::FromJson(ReadFile(tokenizer_json), tokenizer_json));
  const double load = SecondsSince(start);

  std::vector<std::vector<int32_t>> ids(documents.size());
  start = Clock::now();
  for (size_t i = 0; i < documents.size(); ++i) {
    ids[i] = tokenizer->Encode(documents[i], SpecialTokens::kParse);
  }
  const double encode = SecondsSince(start);

  std::vector<std::string> decoded(documents.size());
  start = Clock::now();
  for (size_t i = 0; i < documents.size(); ++i) decoded[i] = tokenizer->Decode(ids[i], false);
  const double decode = SecondsSince(start);

  size_t tokens = 0;
  for (const auto& document : ids) tokens += document.size();
  const auto megabytes = static_cast<double>(bytes) / 1e6;
  std::puts(nlohmann::json{{"texts", std::filesystem::path(path).stem().string()},
                           {"megabytes", megabytes},
                           {"tokens", tokens},
                           {"ids_hash", Hash(ids)},
                           {"load_seconds", load},
                           {"encode", megabytes / encode},
                           {"decode", megabytes / decode}}
                .dump()
                .c_str());
}

}  // namespace
}  // namespace tanren::text

int main(int count, char** arguments) {
  if (count < 3) {
    std::fputs("usage: tokenizer_benchmark tokenizer.json TEXTS.jsonl...\n", stderr);
    return 2;
  }
  try {
    for (int i = 2; i < count; ++i) tanren::text::Measure(arguments[1], arguments[i]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
