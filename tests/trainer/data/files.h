// Files for one test, in a folder of its own that goes with the object.
#ifndef TANREN_TESTS_TRAINER_DATA_FILES_H_
#define TANREN_TESTS_TRAINER_DATA_FILES_H_

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace tanren::trainer {

class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "/tanren-data-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string Write(std::string_view name, std::string_view content) const {
    const std::filesystem::path file = path_ / name;
    std::ofstream(file, std::ios::binary) << content;
    return file.string();
  }

 private:
  std::filesystem::path path_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TESTS_TRAINER_DATA_FILES_H_
