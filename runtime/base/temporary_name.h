// What a file or folder is called while it is being written, before it takes its name.
#ifndef TANREN_RUNTIME_BASE_TEMPORARY_NAME_H_
#define TANREN_RUNTIME_BASE_TEMPORARY_NAME_H_

#include <filesystem>

namespace tanren {

// Between the name to come and the id of the process that writes.
inline constexpr char kTemporaryMark[] = ".tmp.";

// "<path>.tmp.<id of this process>"
std::filesystem::path TemporaryNameOf(const std::filesystem::path& path);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_TEMPORARY_NAME_H_
