// A folder for one test, of its own among all that run at the same time.
#ifndef TANREN_TESTS_TEMPORARY_FOLDER_H_
#define TANREN_TESTS_TEMPORARY_FOLDER_H_

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "runtime/base/error.h"

namespace tanren {

// Empty; removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() : TemporaryFolder(std::filesystem::temp_directory_path()) {}
  explicit TemporaryFolder(const std::filesystem::path& parent) {
    std::string name = (parent / "tanren-test.XXXXXX").string();
    TANREN_CHECK(mkdtemp(name.data()) != nullptr, "can't make {}", name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tanren

#endif  // TANREN_TESTS_TEMPORARY_FOLDER_H_
