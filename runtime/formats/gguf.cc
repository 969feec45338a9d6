#include "runtime/formats/gguf.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>

#include "runtime/base/error.h"
#include "runtime/formats/byte_cursor.h"
#include "runtime/formats/foreign_file.h"
#include "runtime/formats/gguf_types.h"

namespace tanren::formats {
namespace {

constexpr uint64_t kMaxAlignment = uint64_t{1} << 30;

// Bytes of the smallest value of a type; 0 for a number that is no type.
uint64_t LeastBytes(uint32_t type) {
  constexpr uint64_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  return type < std::size(kBytes) ? kBytes[type] : 0;
}

int64_t ReadInteger(ByteCursor& cursor, uint32_t type, std::string_view what) {
  switch (type) {
    case kGgufUint8:
      return cursor.Read<uint8_t>(what);
    case kGgufInt8:
      return cursor.Read<int8_t>(what);
    case kGgufUint16:
      return cursor.Read<uint16_t>(what);
    case kGgufInt16:
      return cursor.Read<int16_t>(what);
    case kGgufUint32:
      return cursor.Read<uint32_t>(what);
    case kGgufInt32:
      return cursor.Read<int32_t>(what);
    case kGgufBool:
      return cursor.Read<uint8_t>(what) != 0;
    case kGgufInt64:
      return cursor.Read<int64_t>(what);
    default: {
      const auto value = cursor.Read<uint64_t>(what);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        cursor.Fail(fmt::format("{}: {} is too large", what, value));
      }
      return static_cast<int64_t>(value);
    }
  }
}

GgufValue ReadArray(ByteCursor& cursor, std::string_view what) {
  const auto type = cursor.Read<uint32_t>(what);
  if (LeastBytes(type) == 0 || type == kGgufArray) {
    cursor.Fail(
        fmt::format("{}: found elements of type {}, expected numbers or strings", what, type));
  }
  const uint64_t count = cursor.ReadCount(LeastBytes(type), what);
  if (type == kGgufString) {
    std::vector<std::string> texts;
    texts.reserve(count);
    for (uint64_t i = 0; i < count; ++i) texts.push_back(cursor.ReadString(what));
    return texts;
  }
  if (type == kGgufFloat32 || type == kGgufFloat64) {
    std::vector<double> numbers;
    numbers.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      numbers.push_back(type == kGgufFloat32 ? cursor.Read<float>(what)
                                             : cursor.Read<double>(what));
    }
    return numbers;
  }
  std::vector<int64_t> integers;
  integers.reserve(count);
  for (uint64_t i = 0; i < count; ++i) integers.push_back(ReadInteger(cursor, type, what));
  return integers;
}

GgufValue ReadValue(ByteCursor& cursor, std::string_view what) {
  const auto type = cursor.Read<uint32_t>(what);
  if (LeastBytes(type) == 0) cursor.Fail(fmt::format("{}: there is no value type {}", what, type));
  switch (type) {
    case kGgufString:
      return cursor.ReadString(what);
    case kGgufArray:
      return ReadArray(cursor, what);
    case kGgufFloat32:
      return cursor.Read<float>(what);
    case kGgufFloat64:
      return cursor.Read<double>(what);
    case kGgufBool:
      return ReadInteger(cursor, type, what) != 0;
    default:
      return ReadInteger(cursor, type, what);
  }
}

struct Placed {
  TensorInfo info;
  uint64_t offset = 0;  // from the start of the data
  uint64_t bytes = 0;
};

Placed ReadTensorInfo(ByteCursor& cursor) {
  Placed placed;
  placed.info.name = cursor.ReadString("a tensor's name");
  const std::string& name = placed.info.name;
  const auto dimensions = cursor.Read<uint32_t>(name);
  if (dimensions < 1 || dimensions > kGgufMaxDimensions) {
    cursor.Fail(fmt::format("{}: found {} dimensions, expected 1 to {}", name, dimensions,
                            kGgufMaxDimensions));
  }
  for (uint32_t i = 0; i < dimensions; ++i) {
    placed.info.shape.push_back(ReadInteger(cursor, kGgufUint64, name));
  }
  std::reverse(placed.info.shape.begin(), placed.info.shape.end());
  const absl::StatusOr<DType> dtype = DTypeOfGgml(cursor.Read<uint32_t>(name));
  if (!dtype.ok()) cursor.Fail(fmt::format("{}: {}", name, std::string(dtype.status().message())));
  placed.info.dtype = *dtype;
  if (placed.info.shape.back() % BlockElements(*dtype) != 0) {
    cursor.Fail(fmt::format("{}: {} elements in a row of {} are not whole blocks of {}", name,
                            placed.info.shape.back(), Name(*dtype), BlockElements(*dtype)));
  }
  absl::StatusOr<int64_t> size = CheckedNumel(placed.info.shape);
  if (size.ok()) size = BytesFor(*dtype, *size);
  if (!size.ok()) cursor.Fail(fmt::format("{}: {}", name, std::string(size.status().message())));
  placed.bytes = static_cast<uint64_t>(*size);
  placed.offset = cursor.Read<uint64_t>(name);
  return placed;
}

// Two tensors on the same bytes are a sign of a broken or a hostile file.
void CheckOverlap(const std::vector<Placed>& tensors, const ByteCursor& cursor) {
  std::vector<const Placed*> order;
  for (const Placed& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const Placed* a, const Placed* b) {
    return a->offset != b->offset ? a->offset < b->offset : a->bytes < b->bytes;
  });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->offset + order[i - 1]->bytes > order[i]->offset) {
      cursor.Fail(fmt::format("{} and {} overlap", order[i - 1]->info.name, order[i]->info.name));
    }
  }
}

// The double that is written with the same digits.
double Shortest(float value) {
  const std::string digits = fmt::format("{}", value);
  double number = value;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace

Gguf::Gguf(MappedFile file) : WeightsReader(file.path().string()), file_(std::move(file)) {}

absl::StatusOr<std::unique_ptr<Gguf>> Gguf::Open(const std::filesystem::path& path) {
  TANREN_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  std::unique_ptr<Gguf> gguf(new Gguf(std::move(file)));
  try {
    TANREN_RETURN_IF_ERROR(gguf->Parse());
  } catch (const Error& error) {
    return error.status();
  }
  return gguf;
}

absl::Status Gguf::Parse() {
  ByteCursor cursor(file_.bytes(), where());
  if (cursor.remaining() < 4 || cursor.Read<uint32_t>("the magic") != kGgufMagic) {
    TANREN_RETURN_IF_ERROR(CheckForeign(where(), file_.bytes()));
    return absl::InvalidArgumentError(
        fmt::format("{}: this is no GGUF file: it doesn't begin with \"GGUF\"", where()));
  }
  const auto version = cursor.Read<uint32_t>("the version");
  if (version != 2 && version != 3) {
    const bool swapped = version == 0x02000000 || version == 0x03000000;
    cursor.Fail(swapped ? std::string("this GGUF is big-endian, expected little-endian")
                        : fmt::format("found GGUF version {}, expected 2 or 3", version));
  }
  const uint64_t tensor_count = cursor.ReadCount(32, "tensors");
  const uint64_t value_count = cursor.ReadCount(13, "metadata values");
  for (uint64_t i = 0; i < value_count; ++i) {
    const std::string key = cursor.ReadString("a metadata key");
    if (!metadata_.emplace(key, ReadValue(cursor, key)).second) {
      cursor.Fail(fmt::format("the key {} is there twice", key));
    }
  }
  std::vector<Placed> tensors;
  tensors.reserve(tensor_count);
  for (uint64_t i = 0; i < tensor_count; ++i) tensors.push_back(ReadTensorInfo(cursor));

  TANREN_ASSIGN_OR_RETURN(const auto stated, FindInt("general.alignment"));
  const auto alignment = static_cast<uint64_t>(stated.value_or(kGgufDefaultAlignment));
  if (!std::has_single_bit(alignment) || alignment > kMaxAlignment) {
    cursor.Fail(fmt::format("general.alignment is {}, expected a power of two", alignment));
  }
  const uint64_t start = (cursor.position() + alignment - 1) / alignment * alignment;
  const uint64_t size = file_.bytes().size();
  const uint64_t available = size > start ? size - start : 0;
  for (const Placed& tensor : tensors) {
    if (tensor.offset % alignment != 0) {
      cursor.Fail(fmt::format("{}: its offset {} is not aligned to {}", tensor.info.name,
                              tensor.offset, alignment));
    }
    if (tensor.offset > available || tensor.bytes > available - tensor.offset) {
      cursor.Fail(
          fmt::format("{}: its {} bytes at offset {} do not lie in the {} bytes of data; where the "
                      "file is cut off, copy or download it again",
                      tensor.info.name, tensor.bytes, tensor.offset, available));
    }
  }
  CheckOverlap(tensors, cursor);
  std::vector<TensorInfo> infos;
  for (Placed& tensor : tensors) {
    bytes_.push_back(tensor.bytes == 0
                         ? std::span<const std::byte>()
                         : file_.bytes().subspan(start + tensor.offset, tensor.bytes));
    infos.push_back(std::move(tensor.info));
  }
  return SetTensors(std::move(infos));
}

absl::Status Gguf::ReadRange(size_t index, int64_t begin, int64_t end,
                             std::span<float> values) const {
  DequantizeToFloat(tensors()[index].dtype, bytes_[index], begin, end, values);
  return absl::OkStatus();
}

absl::Status Gguf::WrongType(std::string_view key, std::string_view expected) const {
  return absl::InvalidArgumentError(
      fmt::format("{}: the key {} has another type than expected: {}", where(), key, expected));
}

template <typename T>
absl::StatusOr<const T*> Gguf::FindAs(std::string_view key, std::string_view expected) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) return WrongType(key, expected);
  return value;
}

absl::StatusOr<std::optional<int64_t>> Gguf::FindInt(std::string_view key) const {
  TANREN_ASSIGN_OR_RETURN(const auto* value, FindAs<int64_t>(key, "an integer"));
  return value == nullptr ? std::nullopt : std::optional(*value);
}

absl::StatusOr<std::optional<double>> Gguf::FindNumber(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) return std::optional<double>();
  if (const auto* value = std::get_if<float>(&found->second)) return Shortest(*value);
  if (const auto* value = std::get_if<double>(&found->second)) return *value;
  if (const auto* value = std::get_if<int64_t>(&found->second)) return static_cast<double>(*value);
  return WrongType(key, "a number");
}

absl::StatusOr<std::optional<bool>> Gguf::FindBool(std::string_view key) const {
  TANREN_ASSIGN_OR_RETURN(const auto* value, FindAs<bool>(key, "a bool"));
  return value == nullptr ? std::nullopt : std::optional(*value);
}

absl::StatusOr<std::optional<std::string>> Gguf::FindString(std::string_view key) const {
  TANREN_ASSIGN_OR_RETURN(const auto* value, FindAs<std::string>(key, "a string"));
  return value == nullptr ? std::nullopt : std::optional(*value);
}

absl::StatusOr<const std::vector<int64_t>*> Gguf::FindInts(std::string_view key) const {
  return FindAs<std::vector<int64_t>>(key, "an array of integers");
}

absl::StatusOr<const std::vector<std::string>*> Gguf::FindStrings(std::string_view key) const {
  return FindAs<std::vector<std::string>>(key, "an array of strings");
}

}  // namespace tanren::formats
