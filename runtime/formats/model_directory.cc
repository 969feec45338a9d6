#include "runtime/formats/model_directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/temporary_name.h"
#include "runtime/formats/leftovers.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTextFiles[] = {"config.json", "generation_config.json", "tokenizer.json",
                                      "tokenizer_config.json", "chat_template.jinja"};

bool IsOurs(const std::string& name) {
  for (const char* ours : kTextFiles) {
    if (name == ours) return true;
  }
  return name == "model.safetensors.index.json" ||
         (name.starts_with("model") && name.ends_with(".safetensors"));
}

// OK if nothing is there, or a folder with nothing but what a writer of this kind left.
absl::Status CheckReplaceable(const fs::path& directory) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(directory, error);
  if (status.type() == fs::file_type::not_found) return absl::OkStatus();
  if (!fs::is_directory(status)) {
    return absl::AlreadyExistsError(
        fmt::format("{}: found something that is no folder", directory.string()));
  }
  fs::directory_iterator entries(directory, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (!IsOurs(entries->path().filename().string())) {
      return absl::AlreadyExistsError(fmt::format(
          "{}: it exists and holds {}, which is no part of a model written here: choose another "
          "name, or move it away",
          directory.string(), entries->path().filename().string()));
    }
  }
  if (error) {
    return absl::UnavailableError(
        fmt::format("{}: can't list: {}", directory.string(), error.message()));
  }
  return absl::OkStatus();
}

absl::Status Rename(const fs::path& from, const fs::path& to, unsigned flags) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno,
                             fmt::format("{}: can't rename to {}", from.string(), to.string()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelDirectoryWriter>> ModelDirectoryWriter::Create(
    const fs::path& path, const ModelTexts& texts, std::vector<TensorInfo> tensors,
    int64_t max_shard_bytes) {
  fs::path directory = fs::absolute(path).lexically_normal();
  if (!directory.has_filename()) directory = directory.parent_path();
  if (!directory.has_filename()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: expected the name of a folder", path.string()));
  }
  TANREN_RETURN_IF_ERROR(CheckReplaceable(directory));
  RemoveLeftovers(directory);
  const fs::path temporary = TemporaryNameOf(directory);
  std::error_code ignored;
  fs::remove_all(temporary, ignored);  // of a process of the same id that was killed
  TANREN_RETURN_IF_ERROR(MakeDirectories(temporary));

  std::unique_ptr<ModelDirectoryWriter> writer(new ModelDirectoryWriter(directory, temporary));
  writer->mark_ = WriterMark(temporary);
  const std::optional<std::string> contents[] = {texts.config_json, texts.generation_config_json,
                                                 texts.tokenizer_json, texts.tokenizer_config_json,
                                                 texts.chat_template};
  for (size_t i = 0; i < std::size(contents); ++i) {
    if (!contents[i]) continue;
    TANREN_RETURN_IF_ERROR(WriteFileAtomically(temporary / kTextFiles[i], *contents[i]));
  }
  TANREN_ASSIGN_OR_RETURN(writer->weights_, SafetensorsWriter::CreateInDirectory(
                                                temporary, std::move(tensors), max_shard_bytes));
  return writer;
}

ModelDirectoryWriter::~ModelDirectoryWriter() {
  weights_.reset();
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

absl::Status ModelDirectoryWriter::Finish() {
  TANREN_RETURN_IF_ERROR(weights_->Finish());
  TANREN_RETURN_IF_ERROR(SyncToDisk(temporary_));
  TANREN_RETURN_IF_ERROR(CheckReplaceable(directory_));
  return Publish();
}

absl::Status ModelDirectoryWriter::Publish() {
  const absl::Status fresh = Rename(temporary_, directory_, RENAME_NOREPLACE);
  if (fresh.ok()) {
    temporary_.clear();
    return SyncToDisk(directory_.parent_path());
  }
  // After the exchange the temporary name is the old model's, which the destructor removes.
  const absl::Status exchanged = Rename(temporary_, directory_, RENAME_EXCHANGE);
  if (exchanged.ok()) return SyncToDisk(directory_.parent_path());

  // Not every network file system can do either: there the model is absent for a moment.
  const fs::path old = fmt::format("{}.old.{}", directory_.string(), getpid());
  std::error_code error;
  if (fs::exists(directory_, error)) TANREN_RETURN_IF_ERROR(Rename(directory_, old, 0));
  TANREN_RETURN_IF_ERROR(Rename(temporary_, directory_, 0));
  temporary_ = old;
  return SyncToDisk(directory_.parent_path());
}

}  // namespace tanren::formats
