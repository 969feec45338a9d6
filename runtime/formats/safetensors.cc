#include "runtime/formats/safetensors.h"

#include <algorithm>
#include <set>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/formats/byte_cursor.h"
#include "runtime/formats/foreign_file.h"
#include "runtime/formats/json.h"
#include "runtime/formats/json_fields.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxHeader = 100'000'000;  // as the reference has it
constexpr uint64_t kMaxIndex = uint64_t{256} << 20;
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

struct Placed {
  TensorInfo info;
  int64_t begin = 0;  // in the data
  int64_t end = 0;
};

Placed ReadEntry(const std::string& name, const nlohmann::json& entry, const std::string& where) {
  if (!entry.is_object()) {
    throw Error(absl::InvalidArgumentError(
        fmt::format("{}: {}: found {}, expected an object", where, name, entry.type_name())));
  }
  JsonFields fields(entry, fmt::format("{}: {}", where, name));
  const std::string dtype_name = fields.String("dtype").value_or("");
  const std::optional<DType> dtype = DTypeFromName(dtype_name);
  // The quantised names are GGUF's alone.
  if (!dtype || BlockElements(*dtype) > 1) {
    fields.Fail("dtype",
                fmt::format("found \"{}\", expected F64, F32, F16, BF16, I64, I32, I16, I8, "
                            "U8 or BOOL",
                            dtype_name));
  }
  if (!fields.Has("shape") || !entry["shape"].is_array()) fields.Fail("shape", "expected a list");
  std::vector<int64_t> shape = *fields.Ints("shape");
  absl::StatusOr<int64_t> size = CheckedNumel(shape);
  if (size.ok()) size = BytesFor(*dtype, *size);
  if (!size.ok()) fields.Fail("shape", std::string(size.status().message()));
  const std::vector<int64_t> offsets = fields.Ints("data_offsets").value_or(std::vector<int64_t>());
  if (offsets.size() != 2 || offsets[0] < 0 || offsets[0] > offsets[1]) {
    fields.Fail("data_offsets", "expected [begin, end]");
  }
  if (offsets[1] - offsets[0] != *size) {
    fields.Fail("data_offsets",
                fmt::format("found {} bytes, expected {} for {} {}", offsets[1] - offsets[0], *size,
                            dtype_name, ShapeText(shape)));
  }
  return {{name, *dtype, std::move(shape)}, offsets[0], offsets[1]};
}

class SafetensorsFile final : public WeightsReader {
 public:
  explicit SafetensorsFile(MappedFile file)
      : WeightsReader(file.path().string()), file_(std::move(file)) {}

  // Throws Error, or returns one.
  absl::Status Parse() {
    ByteCursor cursor(file_.bytes(), where());
    // Behind the header's length stands the header, an object.
    if (file_.bytes().size() < 9 || file_.bytes()[8] != std::byte{'{'}) {
      TANREN_RETURN_IF_ERROR(CheckForeign(file_.path(), file_.bytes()));
    }
    const auto header_size = cursor.Read<uint64_t>("the header's length");
    if (header_size > kMaxHeader || header_size > cursor.remaining()) {
      cursor.Fail(
          fmt::format("the header takes {} bytes; {} are left, and {} are allowed: the "
                      "file is cut off, or no safetensors",
                      header_size, cursor.remaining(), kMaxHeader));
    }
    const std::span<const std::byte> data = file_.bytes().subspan(8 + header_size);
    const std::string_view header(reinterpret_cast<const char*>(file_.bytes().data()) + 8,
                                  header_size);
    TANREN_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonObject(header, where()));
    std::vector<Placed> tensors;
    for (const auto& [name, entry] : json.items()) {
      if (name != "__metadata__") tensors.push_back(ReadEntry(name, entry, where()));
    }
    std::sort(tensors.begin(), tensors.end(), [](const Placed& a, const Placed& b) {
      return std::tie(a.begin, a.end, a.info.name) < std::tie(b.begin, b.end, b.info.name);
    });
    CheckCover(tensors, data.size());
    std::vector<TensorInfo> infos;
    for (Placed& tensor : tensors) {
      bytes_.push_back(data.subspan(static_cast<size_t>(tensor.begin),
                                    static_cast<size_t>(tensor.end - tensor.begin)));
      infos.push_back(std::move(tensor.info));
    }
    return SetTensors(std::move(infos));
  }

 private:
  // As the format demands: tensors touch, and cover the data. `tensors` are in the data's order.
  void CheckCover(const std::vector<Placed>& tensors, uint64_t size) const {
    const auto fail = [&](const std::string& message) {
      throw Error(absl::InvalidArgumentError(fmt::format("{}: {}", where(), message)));
    };
    int64_t position = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Placed& tensor = tensors[i];
      if (tensor.begin < position) {
        fail(
            fmt::format("{} and {} overlap: the second begins at byte {} of the data, the first "
                        "ends at {}",
                        tensors[i - 1].info.name, tensor.info.name, tensor.begin, position));
      }
      if (tensor.begin > position) {
        fail(fmt::format("{} begins at byte {} of the data, expected {}, where {}",
                         tensor.info.name, tensor.begin, position,
                         i == 0 ? "the data do" : tensors[i - 1].info.name + " ends"));
      }
      position = tensor.end;
    }
    if (static_cast<uint64_t>(position) > size) {
      fail(
          fmt::format("the tensors take {} bytes behind the header, but {} are there: the file is "
                      "cut off; copy or download it again",
                      position, size));
    }
    if (static_cast<uint64_t>(position) < size) {
      fail(
          fmt::format("the tensors take {} bytes behind the header, but {} are there, expected "
                      "nothing behind the last one",
                      position, size));
    }
  }

  absl::Status ReadRange(size_t index, int64_t begin, int64_t end,
                         std::span<float> values) const override {
    DequantizeToFloat(tensors()[index].dtype, bytes_[index], begin, end, values);
    return absl::OkStatus();
  }

  MappedFile file_;
  std::vector<std::span<const std::byte>> bytes_;  // of each tensor
};

class ShardedSafetensors final : public WeightsReader {
 public:
  explicit ShardedSafetensors(const fs::path& index)
      : WeightsReader(index.string()), index_(index) {}

  // Throws Error, or returns one.
  absl::Status Open() {
    TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile(index_, kMaxIndex));
    TANREN_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonObject(text, where()));
    const auto map = json.find("weight_map");
    if (map == json.end() || !map->is_object()) {
      return absl::InvalidArgumentError(
          fmt::format("{}: weight_map: expected an object of file names", where()));
    }
    std::set<std::string> files;
    for (const auto& [name, file] : map->items()) {
      if (!file.is_string() || !IsPlainName(file.get<std::string>())) {
        // The name may be of any length; what shows that it is wrong stands first.
        return absl::InvalidArgumentError(fmt::format(
            "{}: weight_map: {}: found {:.100}, expected the name of a file beside the "
            "index, without a /",
            where(), name, file.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)));
      }
      files.insert(file.get<std::string>());
    }
    std::vector<TensorInfo> infos;
    for (const std::string& file : files) {
      const fs::path path = index_.parent_path() / file;
      if (HasPickleName(path)) return RefusePickle(path);
      absl::StatusOr<std::unique_ptr<WeightsReader>> opened = OpenSafetensors(path);
      if (absl::IsNotFound(opened.status())) {
        return Annotate(opened.status(), fmt::format("{}: a file of weight_map", where()));
      }
      TANREN_ASSIGN_OR_RETURN(std::unique_ptr<WeightsReader> shard, std::move(opened));
      for (const TensorInfo& tensor : shard->tensors()) {
        const auto entry = map->find(tensor.name);
        if (entry == map->end() || *entry != file) continue;  // the index decides
        infos.push_back(tensor);
        shard_of_.push_back(shards_.size());
      }
      shards_.push_back(std::move(shard));
    }
    TANREN_RETURN_IF_ERROR(SetTensors(std::move(infos)));
    for (const auto& [name, file] : map->items()) {
      if (Find(name) == nullptr) {
        return absl::InvalidArgumentError(
            fmt::format("{}: there is no tensor {} in {}", where(), name, file.get<std::string>()));
      }
    }
    return absl::OkStatus();
  }

 private:
  // Nothing that leads out of the folder.
  static bool IsPlainName(const std::string& name) {
    return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
           name.find('\0') == std::string::npos;
  }

  absl::Status ReadRange(size_t index, int64_t begin, int64_t end,
                         std::span<float> values) const override {
    return shards_[shard_of_[index]]->Read(tensors()[index].name, begin, end, values);
  }

  fs::path index_;
  std::vector<std::unique_ptr<WeightsReader>> shards_;
  std::vector<size_t> shard_of_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WeightsReader>> OpenSafetensors(const fs::path& path) {
  TANREN_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  auto reader = std::make_unique<SafetensorsFile>(std::move(file));
  try {
    TANREN_RETURN_IF_ERROR(reader->Parse());
  } catch (const Error& error) {
    return error.status();
  }
  return reader;
}

absl::StatusOr<std::unique_ptr<WeightsReader>> OpenSafetensorsDirectory(const fs::path& directory) {
  std::error_code ignored;
  if (fs::exists(directory / kSingleFile, ignored)) return OpenSafetensors(directory / kSingleFile);
  if (!fs::exists(directory / kIndexFile, ignored)) {
    if (const std::optional<fs::path> pickle = FindPickle(directory)) return RefusePickle(*pickle);
    return absl::NotFoundError(fmt::format("{}: there is neither {} nor {} in it",
                                           directory.string(), kSingleFile, kIndexFile));
  }
  auto reader = std::make_unique<ShardedSafetensors>(directory / kIndexFile);
  try {
    TANREN_RETURN_IF_ERROR(reader->Open());
  } catch (const Error& error) {
    return error.status();
  }
  return reader;
}

}  // namespace tanren::formats
