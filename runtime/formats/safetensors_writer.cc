#include "runtime/formats/safetensors_writer.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/formats/tensor_file_writer.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

// The reference's order, so that the same tensors make the same file: wide elements first, which
// keeps all aligned, and BF16 before F16.
bool ComesBefore(const TensorInfo& a, const TensorInfo& b) {
  const auto rank = [](DType dtype) {
    return dtype == DType::kF32 ? 0 : dtype == DType::kBF16 ? 1 : 2;
  };
  if (a.dtype != b.dtype) return rank(a.dtype) < rank(b.dtype);
  return a.name < b.name;
}

// Its length, then the text, padded so that the data that follows is aligned.
absl::StatusOr<std::string> HeaderBytes(const nlohmann::ordered_json& header) {
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const uint64_t length = text.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(fmt::format("a tensor's name is no UTF-8: {}", error.what()));
  }
}

// The tensors are checked.
absl::StatusOr<std::unique_ptr<TensorFileWriter>> CreateOneFile(const fs::path& path,
                                                                std::vector<TensorInfo> tensors) {
  std::sort(tensors.begin(), tensors.end(), ComesBefore);
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};
  std::vector<PlacedTensor> placed;
  int64_t position = 0;
  for (const TensorInfo& tensor : tensors) {
    const int64_t end = position + BlockBytes(tensor.dtype) * tensor.numel();
    header[tensor.name] = {
        {"dtype", Name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {position, end}}};
    placed.push_back({tensor, position});
    position = end;
  }
  TANREN_ASSIGN_OR_RETURN(const std::string bytes, HeaderBytes(header));
  const auto data = static_cast<int64_t>(bytes.size());
  for (PlacedTensor& tensor : placed) tensor.offset += data;
  return TensorFileWriter::Create(path, bytes, std::move(placed), data + position);
}

// Which file holds a tensor, and in the end the index of them.
class Writer final : public SafetensorsWriter {
 public:
  // With no `index` path none is written.
  explicit Writer(fs::path index) : index_(std::move(index)) {}

  absl::Status AddFile(const fs::path& path, std::vector<TensorInfo> tensors) {
    for (const TensorInfo& tensor : tensors) {
      file_of_[tensor.name] = files_.size();
      weight_map_[tensor.name] = path.filename().string();
      total_bytes_ += BlockBytes(tensor.dtype) * tensor.numel();
    }
    TANREN_ASSIGN_OR_RETURN(auto file, CreateOneFile(path, std::move(tensors)));
    files_.push_back(std::move(file));
    return absl::OkStatus();
  }

  absl::Status Write(std::string_view name, int64_t begin, std::span<const float> values) override {
    const auto found = file_of_.find(name);
    if (found == file_of_.end()) {
      return absl::NotFoundError(fmt::format("the tensor {} wasn't declared", name));
    }
    return files_[found->second]->Write(name, begin, values);
  }

  absl::Status Finish() override {
    for (const auto& file : files_) TANREN_RETURN_IF_ERROR(file->Complete());
    for (const auto& file : files_) TANREN_RETURN_IF_ERROR(file->Rename());
    if (index_.empty()) return absl::OkStatus();
    nlohmann::ordered_json index;
    index["metadata"] = {{"total_size", total_bytes_}};
    index["weight_map"] = weight_map_;
    return WriteFileAtomically(index_, index.dump(2) + "\n");
  }

 private:
  fs::path index_;
  std::vector<std::unique_ptr<TensorFileWriter>> files_;
  std::map<std::string, size_t, std::less<>> file_of_;
  std::map<std::string, std::string> weight_map_;
  int64_t total_bytes_ = 0;
};

absl::Status CheckDeclared(const std::vector<TensorInfo>& tensors, const fs::path& path) {
  std::map<std::string_view, int> names;
  int64_t total = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.dtype != DType::kF32 && tensor.dtype != DType::kBF16 &&
        tensor.dtype != DType::kF16) {
      return absl::InvalidArgumentError(fmt::format("{}: {}: found {}, expected F32, BF16 or F16",
                                                    path.string(), tensor.name,
                                                    Name(tensor.dtype)));
    }
    if (tensor.name == "__metadata__" || ++names[tensor.name] > 1) {
      return absl::InvalidArgumentError(
          fmt::format("{}: a tensor can't be named {} here, or twice", path.string(), tensor.name));
    }
    TANREN_ASSIGN_OR_RETURN(const int64_t elements, CheckedNumel(tensor.shape));
    TANREN_ASSIGN_OR_RETURN(const int64_t bytes, BytesFor(tensor.dtype, elements));
    if (__builtin_add_overflow(total, bytes, &total)) {
      return absl::InvalidArgumentError(fmt::format("{}: too many bytes", path.string()));
    }
  }
  return absl::OkStatus();
}

// In the order of declaration, each as full as it may be.
std::vector<std::vector<TensorInfo>> Split(std::vector<TensorInfo> tensors, int64_t max_bytes) {
  std::vector<std::vector<TensorInfo>> shards(1);
  int64_t used = 0;
  for (TensorInfo& tensor : tensors) {
    const int64_t bytes = BlockBytes(tensor.dtype) * tensor.numel();
    if (!shards.back().empty() && (bytes > max_bytes || used > max_bytes - bytes)) {
      shards.emplace_back();
      used = 0;
    }
    used += bytes;
    shards.back().push_back(std::move(tensor));
  }
  return shards;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::CreateFile(
    const fs::path& file, std::vector<TensorInfo> tensors) {
  TANREN_RETURN_IF_ERROR(CheckDeclared(tensors, file));
  auto writer = std::make_unique<Writer>(fs::path());
  TANREN_RETURN_IF_ERROR(writer->AddFile(file, std::move(tensors)));
  return writer;
}

absl::StatusOr<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::CreateInDirectory(
    const fs::path& directory, std::vector<TensorInfo> tensors, int64_t max_shard_bytes) {
  TANREN_RETURN_IF_ERROR(CheckDeclared(tensors, directory));
  for (const char* name : {kSingleFile, kIndexFile}) {
    std::error_code ignored;
    if (fs::exists(directory / name, ignored)) {
      return absl::AlreadyExistsError(
          fmt::format("{}: there are weights already: {}", directory.string(), name));
    }
  }
  std::vector<std::vector<TensorInfo>> shards = Split(std::move(tensors), max_shard_bytes);
  const bool single = shards.size() == 1;
  auto writer = std::make_unique<Writer>(single ? fs::path() : directory / kIndexFile);
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name =
        single ? kSingleFile
               : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    TANREN_RETURN_IF_ERROR(writer->AddFile(directory / name, std::move(shards[i])));
  }
  return writer;
}

}  // namespace tanren::formats
