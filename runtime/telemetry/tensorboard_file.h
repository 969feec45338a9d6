// A file that TensorBoard shows: scalars by step, as TFRecords of TensorBoard's Event messages.
#ifndef TANREN_RUNTIME_TELEMETRY_TENSORBOARD_FILE_H_
#define TANREN_RUNTIME_TELEMETRY_TENSORBOARD_FILE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tanren::tensorboard {
class Event;
}

namespace tanren {

// The writer. One thread. Each event is in the file when its call returns, whole; a file that was
// torn by a crash is read up to there, and those after it as well.
class TensorBoardFile {
 public:
  // Makes a new file in `directory`, which it makes too. TensorBoard reads the files of a directory
  // in the order of their names: this one comes behind those that are there, even where the clock
  // was turned back.
  static absl::StatusOr<TensorBoardFile> Create(const std::filesystem::path& directory);
  TensorBoardFile(TensorBoardFile&& other) noexcept;
  TensorBoardFile& operator=(TensorBoardFile&& other) noexcept;
  ~TensorBoardFile();

  const std::filesystem::path& path() const { return path_; }

  // Values by their tags. TensorBoard keeps them as floats.
  absl::Status AppendScalars(int64_t step,
                             const std::vector<std::pair<std::string, double>>& values);

  // A run goes on with `step`: whatever earlier files say of it and of later steps is dropped.
  absl::Status AppendRestart(int64_t step);

 private:
  TensorBoardFile(std::filesystem::path path, int descriptor);
  // Sets the event's time.
  absl::Status Append(tensorboard::Event event);

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace tanren

#endif  // TANREN_RUNTIME_TELEMETRY_TENSORBOARD_FILE_H_
