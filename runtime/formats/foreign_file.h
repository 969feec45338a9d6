// Files of weights that aren't read here, and how a person gets from them to ones that are.
#ifndef TANREN_RUNTIME_FORMATS_FOREIGN_FILE_H_
#define TANREN_RUNTIME_FORMATS_FOREIGN_FILE_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>

#include "absl/status/status.h"

namespace tanren::formats {

// Whether the name ends as torch.save's files do: .bin, .pt, .pth, .ckpt.
bool HasPickleName(const std::filesystem::path& file);

// The first file in the folder, by name, that HasPickleName; nothing where there is none.
std::optional<std::filesystem::path> FindPickle(const std::filesystem::path& directory);

// kInvalidArgument: the file is a pickle, which can run any program when it is read; with the
// command that makes safetensors of it.
absl::Status RefusePickle(const std::filesystem::path& file);

// For a file that doesn't begin as weights do: kInvalidArgument that says what it is instead and
// what to do (a pickle, a pointer of Git LFS, a web page, weights of another format); OK where it
// begins as nothing known. `bytes` are its first ones, 64 if it has them.
absl::Status CheckForeign(const std::filesystem::path& file, std::span<const std::byte> bytes);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_FOREIGN_FILE_H_
