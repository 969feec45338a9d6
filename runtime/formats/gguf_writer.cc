#include "runtime/formats/gguf_writer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "runtime/base/error.h"
#include "runtime/formats/gguf_types.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;

constexpr auto kAlignment = static_cast<int64_t>(kGgufDefaultAlignment);
constexpr size_t kMaxName = 63;    // GGML_MAX_NAME, without the final zero
constexpr size_t kMaxKey = 65535;  // as the format has it
constexpr uint32_t kVersion = 3;

template <typename T>
void Append(T value, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void AppendText(std::string_view text, std::string* bytes) {
  Append<uint64_t>(text.size(), bytes);
  bytes->append(text);
}

// The type of a value, then the value.
struct FieldAppender {
  std::string* bytes;

  void operator()(bool value) const {
    Append<uint32_t>(kGgufBool, bytes);
    Append<uint8_t>(value ? 1 : 0, bytes);
  }
  void operator()(uint32_t value) const { Number(kGgufUint32, value); }
  void operator()(int32_t value) const { Number(kGgufInt32, value); }
  void operator()(uint64_t value) const { Number(kGgufUint64, value); }
  void operator()(int64_t value) const { Number(kGgufInt64, value); }
  void operator()(float value) const { Number(kGgufFloat32, value); }
  void operator()(double value) const { Number(kGgufFloat64, value); }
  void operator()(const std::string& text) const {
    Append<uint32_t>(kGgufString, bytes);
    AppendText(text, bytes);
  }
  void operator()(const std::vector<int32_t>& values) const { Numbers(kGgufInt32, values); }
  void operator()(const std::vector<float>& values) const { Numbers(kGgufFloat32, values); }
  void operator()(const std::vector<std::string>& texts) const {
    Array(kGgufString, texts.size());
    for (const std::string& text : texts) AppendText(text, bytes);
  }

 private:
  template <typename T>
  void Number(uint32_t type, T value) const {
    Append(type, bytes);
    Append(value, bytes);
  }
  template <typename T>
  void Numbers(uint32_t type, const std::vector<T>& values) const {
    Array(type, values.size());
    for (const T value : values) Append(value, bytes);
  }
  void Array(uint32_t type, size_t count) const {
    Append<uint32_t>(kGgufArray, bytes);
    Append(type, bytes);
    Append<uint64_t>(count, bytes);
  }
};

absl::Status CheckMetadata(const GgufMetadata& metadata) {
  std::set<std::string_view> keys;
  for (const auto& [key, value] : metadata) {
    if (key.empty() || key.size() > kMaxKey) {
      return absl::InvalidArgumentError(
          fmt::format("a key has {} bytes, expected 1 to {}", key.size(), kMaxKey));
    }
    if (!keys.insert(key).second) {
      return absl::InvalidArgumentError(fmt::format("the key {} is there twice", key));
    }
    if (key == "general.alignment") {
      return absl::InvalidArgumentError("general.alignment is always 32 here");
    }
  }
  return absl::OkStatus();
}

// The bytes that a tensor takes, without the padding after it.
absl::StatusOr<int64_t> CheckedBytes(const TensorInfo& tensor) {
  const DType dtype = tensor.dtype;
  const auto fail = [&](std::string_view message) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", tensor.name, message));
  };
  if (tensor.name.empty() || tensor.name.size() > kMaxName) {
    return fail(
        fmt::format("its name has {} bytes, expected 1 to {}", tensor.name.size(), kMaxName));
  }
  if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16 &&
      dtype != DType::kQ8_0) {
    return fail(fmt::format("found {}, expected F32, F16, BF16 or Q8_0", Name(dtype)));
  }
  if (tensor.shape.empty() || tensor.shape.size() > kGgufMaxDimensions) {
    return fail(fmt::format("found {} dimensions, expected 1 to {}", tensor.shape.size(),
                            kGgufMaxDimensions));
  }
  const absl::StatusOr<int64_t> elements = CheckedNumel(tensor.shape);
  if (!elements.ok()) return Annotate(elements.status(), tensor.name);
  if (tensor.shape.back() % BlockElements(dtype) != 0) {
    return fail(fmt::format("{} elements in a row of {} are not whole blocks of {}",
                            tensor.shape.back(), Name(dtype), BlockElements(dtype)));
  }
  const absl::StatusOr<int64_t> bytes = BytesFor(dtype, *elements);
  if (!bytes.ok()) return Annotate(bytes.status(), tensor.name);
  if (*bytes > std::numeric_limits<int64_t>::max() - kAlignment) return fail("too many bytes");
  return *bytes;
}

int64_t Padded(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

struct Layout {
  std::string header;
  std::vector<PlacedTensor> tensors;
  int64_t file_bytes = 0;
};

absl::StatusOr<Layout> LayOut(const GgufMetadata& metadata, std::vector<TensorInfo> tensors) {
  TANREN_RETURN_IF_ERROR(CheckMetadata(metadata));
  Layout layout;
  std::string& header = layout.header;
  Append(kGgufMagic, &header);
  Append(kVersion, &header);
  Append<uint64_t>(tensors.size(), &header);
  Append<uint64_t>(metadata.size(), &header);
  for (const auto& [key, value] : metadata) {
    AppendText(key, &header);
    std::visit(FieldAppender{&header}, value);
  }
  std::set<std::string> names;
  int64_t position = 0;
  for (TensorInfo& tensor : tensors) {
    TANREN_ASSIGN_OR_RETURN(const int64_t bytes, CheckedBytes(tensor));
    if (!names.insert(tensor.name).second) {
      return absl::InvalidArgumentError(fmt::format("the tensor {} is there twice", tensor.name));
    }
    AppendText(tensor.name, &header);
    Append(static_cast<uint32_t>(tensor.shape.size()), &header);
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      Append(static_cast<uint64_t>(*size), &header);
    }
    Append(GgmlTypeOf(tensor.dtype).value(), &header);
    Append(static_cast<uint64_t>(position), &header);
    layout.tensors.push_back({std::move(tensor), position});
    if (__builtin_add_overflow(position, Padded(bytes), &position)) {
      return absl::InvalidArgumentError("too many bytes");
    }
  }
  header.resize(static_cast<size_t>(Padded(static_cast<int64_t>(header.size()))), '\0');
  const auto data = static_cast<int64_t>(header.size());
  for (PlacedTensor& tensor : layout.tensors) tensor.offset += data;
  if (__builtin_add_overflow(position, data, &layout.file_bytes)) {
    return absl::InvalidArgumentError("too many bytes");
  }
  return layout;
}

// The largest number that isn't rounded to infinity, but for one that is exactly between.
float LargestOf(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return 65519.996f;  // 65520 is rounded to 65536
    case DType::kBF16:
      return 3.3961774e38f;  // 0x7f7f7fff
    case DType::kQ8_0:
      return 127 * 65504.0f;
    default:
      return std::numeric_limits<float>::infinity();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<GgufWriter>> GgufWriter::Create(const fs::path& file,
                                                               const GgufMetadata& metadata,
                                                               std::vector<TensorInfo> tensors) {
  std::unique_ptr<GgufWriter> writer(new GgufWriter());
  writer->where_ = file.string();
  std::error_code ignored;
  const fs::file_status status = fs::status(file, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    return absl::AlreadyExistsError(
        fmt::format("{}: found something that is no file", file.string()));
  }
  for (const TensorInfo& tensor : tensors) writer->dtype_of_[tensor.name] = tensor.dtype;
  absl::StatusOr<Layout> layout = LayOut(metadata, std::move(tensors));
  if (!layout.ok()) return Annotate(layout.status(), file.string());
  TANREN_ASSIGN_OR_RETURN(writer->file_,
                          TensorFileWriter::Create(file, layout->header, std::move(layout->tensors),
                                                   layout->file_bytes));
  return writer;
}

absl::Status GgufWriter::Write(std::string_view name, int64_t begin,
                               std::span<const float> values) {
  const auto found = dtype_of_.find(name);
  if (found != dtype_of_.end()) {
    const DType dtype = found->second;
    const float largest = LargestOf(dtype);
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::abs(values[i]) <= largest) continue;
      // NaN and infinity are what they are in every type but Q8_0.
      if (dtype != DType::kQ8_0 && !std::isfinite(values[i])) continue;
      return absl::InvalidArgumentError(fmt::format("{}: {}: element {} is {}, which {} can't hold",
                                                    where_, name, begin + static_cast<int64_t>(i),
                                                    values[i], Name(dtype)));
    }
  }
  return file_->Write(name, begin, values);
}

absl::Status GgufWriter::Finish() {
  TANREN_RETURN_IF_ERROR(file_->Complete());
  return file_->Rename();
}

}  // namespace tanren::formats
