// Tells whether files that others replace have changed since they were read.
#ifndef TANREN_COORDINATOR_WIRE_FILE_STAMP_H_
#define TANREN_COORDINATOR_WIRE_FILE_STAMP_H_

#include <sys/stat.h>

#include <filesystem>
#include <initializer_list>
#include <string>

#include "fmt/format.h"

namespace tanren::coordinator {

// Equal for files that nobody has touched; those without a name count for nothing.
inline std::string StampOf(std::initializer_list<std::filesystem::path> files) {
  std::string stamp;
  for (const std::filesystem::path& file : files) {
    struct stat found = {};
    if (file.empty() || stat(file.c_str(), &found) != 0) {
      stamp += "-;";
      continue;
    }
    stamp += fmt::format("{} {} {} {}.{};", found.st_dev, found.st_ino, found.st_size,
                         found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
  }
  return stamp;
}

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_WIRE_FILE_STAMP_H_
