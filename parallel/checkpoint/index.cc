#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "parallel/checkpoint/checksum.h"
#include "parallel/checkpoint/json_fields.h"
#include "parallel/checkpoint/manifest.h"
#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

using Json = nlohmann::json;

// As safetensors writes them.
constexpr std::array<std::pair<at::ScalarType, std::string_view>, 3> kDtypes = {
    {{at::kFloat, "F32"}, {at::kBFloat16, "BF16"}, {at::kHalf, "F16"}}};

constexpr size_t kDigits = 16;  // of a checksum

std::string_view DtypeName(at::ScalarType dtype) {
  for (const auto& [type, name] : kDtypes) {
    if (type == dtype) return name;
  }
  throw Error(absl::InvalidArgumentError(
      fmt::format("dtype {} can't be stored in a checkpoint", c10::toString(dtype))));
}

[[noreturn]] void ThrowAt(const TensorId& id, std::string message) {
  throw Error(absl::InvalidArgumentError(fmt::format("{}: {}", Describe(id), message)));
}

at::ScalarType DtypeOf(const TensorId& id, const std::string& text) {
  for (const auto& [type, name] : kDtypes) {
    if (name == text) return type;
  }
  ThrowAt(id, fmt::format("found dtype '{}', expected F32, BF16 or F16", text));
}

std::vector<uint64_t> ParseChecksums(const IndexedPiece& piece, const std::string& text) {
  const int64_t blocks = (piece.bytes() + kChecksumBlock - 1) / kChecksumBlock;
  if (static_cast<int64_t>(text.size()) != blocks * static_cast<int64_t>(kDigits)) {
    ThrowAt(piece.piece.id, fmt::format("found {} digits of checksums, expected {}", text.size(),
                                        blocks * static_cast<int64_t>(kDigits)));
  }
  std::vector<uint64_t> checksums(blocks);
  for (int64_t i = 0; i < blocks; ++i) {
    const char* digits = text.data() + i * kDigits;
    const auto parsed = std::from_chars(digits, digits + kDigits, checksums[i], 16);
    if (parsed.ec != std::errc() || parsed.ptr != digits + kDigits) {
      ThrowAt(piece.piece.id, "a checksum isn't hexadecimal");
    }
  }
  return checksums;
}

// `json` has what its tensor's pieces have in common in `piece` already.
IndexedPiece ParsePiece(IndexedPiece piece, const Json& json, int64_t numel,
                        const std::vector<StoredFile>& files) {
  const TensorId& id = piece.piece.id;
  piece.piece.range = {CountField(json, "begin"), CountField(json, "end")};
  const ElementRange range = piece.piece.range;
  if (range.end <= range.begin || range.end > numel) {
    ThrowAt(id, fmt::format("a piece has elements {} to {} of {}", range.begin, range.end, numel));
  }
  const int64_t file = CountField(json, "file");
  if (file >= static_cast<int64_t>(files.size())) {
    ThrowAt(id, fmt::format("a piece is in file {} of {}", file, files.size()));
  }
  piece.file = static_cast<int>(file);
  piece.offset = CountField(json, "offset");
  const StoredFile& stored = files[file];
  if (piece.bytes() > stored.bytes || piece.offset > stored.bytes - piece.bytes()) {
    ThrowAt(id, fmt::format("{} bytes from byte {} on of {}, which has {}", piece.bytes(),
                            piece.offset, stored.name, stored.bytes));
  }
  piece.checksums = ParseChecksums(piece, TextField(json, "checksums"));
  return piece;
}

}  // namespace

std::string IndexText(const std::vector<IndexedPiece>& pieces) {
  std::map<TensorId, Json> tensors;
  for (const IndexedPiece& one : pieces) {
    Json& tensor = tensors[one.piece.id];
    if (tensor.is_null()) {
      tensor = {{"name", one.piece.id.name},
                {"kind", one.piece.id.kind},
                {"dtype", DtypeName(one.dtype)},
                {"shape", one.piece.shape},
                {"pieces", Json::array()}};
    }
    std::string checksums;
    for (const uint64_t checksum : one.checksums) checksums += ChecksumText(checksum);
    tensor["pieces"].push_back({{"begin", one.piece.range.begin},
                                {"end", one.piece.range.end},
                                {"file", one.file},
                                {"offset", one.offset},
                                {"checksums", std::move(checksums)}});
  }
  Json json = {{"tensors", Json::array()}};
  for (auto& [id, tensor] : tensors) json["tensors"].push_back(std::move(tensor));
  return json.dump();
}

absl::StatusOr<std::vector<IndexedPiece>> ParseIndex(const std::string& text,
                                                     const std::vector<StoredFile>& files) {
  try {
    std::vector<IndexedPiece> pieces;
    const Json json = ParseJson(text);
    for (const Json& tensor : ArrayField(json, "tensors")) {
      IndexedPiece shared;
      shared.piece.id = {TextField(tensor, "name"), TextField(tensor, "kind")};
      shared.piece.shape = CountsField(tensor, "shape");
      shared.dtype = DtypeOf(shared.piece.id, TextField(tensor, "dtype"));
      const int64_t numel = ValueOrThrow(ElementCount(shared.piece.shape));
      // So that its bytes can be counted as well.
      if (numel > (int64_t{1} << 58)) ThrowAt(shared.piece.id, "its shape is too large");
      for (const Json& piece : ArrayField(tensor, "pieces")) {
        pieces.push_back(ParsePiece(shared, piece, numel, files));
      }
    }
    return pieces;
  } catch (const Error& error) {
    return error.status();
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace tanren::parallel
