// GGUF, the format of llama.cpp: metadata and tensors in one file, versions 2 and 3.
#ifndef TANREN_RUNTIME_FORMATS_GGUF_H_
#define TANREN_RUNTIME_FORMATS_GGUF_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/file.h"
#include "runtime/formats/weights.h"

namespace tanren::formats {

// Integers of any width are int64_t (uint64 beyond 2^63 - 1 is refused), in arrays bools too.
using GgufValue = std::variant<bool, int64_t, float, double, std::string, std::vector<int64_t>,
                               std::vector<double>, std::vector<std::string>>;

// Tensors have the names that the file gives them, and row-major shapes (GGUF lists the contiguous
// dimension first; here it is last). Read dtypes: F64 F32 F16 BF16 Q8_0 Q4_0 Q4_1 and integers;
// a file with others is refused.
class Gguf final : public WeightsReader {
 public:
  static absl::StatusOr<std::unique_ptr<Gguf>> Open(const std::filesystem::path& path);

  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }

  // The value of a key: nothing where the key is absent, kInvalidArgument where it has another
  // type.
  absl::StatusOr<std::optional<int64_t>> FindInt(std::string_view key) const;
  // An integer is taken too. fp32 values become the double that is written the same way: 1e-5, not
  // 9.99999975e-06.
  absl::StatusOr<std::optional<double>> FindNumber(std::string_view key) const;
  absl::StatusOr<std::optional<bool>> FindBool(std::string_view key) const;
  absl::StatusOr<std::optional<std::string>> FindString(std::string_view key) const;
  // Arrays: nullptr where the key is absent; valid while this object lives.
  absl::StatusOr<const std::vector<int64_t>*> FindInts(std::string_view key) const;
  absl::StatusOr<const std::vector<std::string>*> FindStrings(std::string_view key) const;

 private:
  explicit Gguf(MappedFile file);
  absl::Status Parse();
  absl::Status ReadRange(size_t index, int64_t begin, int64_t end,
                         std::span<float> values) const override;
  absl::Status WrongType(std::string_view key, std::string_view expected) const;
  template <typename T>
  absl::StatusOr<const T*> FindAs(std::string_view key, std::string_view expected) const;

  MappedFile file_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<std::span<const std::byte>> bytes_;  // of each tensor
};

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_GGUF_H_
