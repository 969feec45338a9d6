// Files for one test, in a folder of its own that goes with the object.
#ifndef TANREN_TESTS_TRAINER_DATA_FILES_H_
#define TANREN_TESTS_TRAINER_DATA_FILES_H_

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/temporary_folder.h"

namespace tanren::trainer {

class Folder : public TemporaryFolder {
 public:
  std::string Write(std::string_view name, std::string_view content) const {
    const std::filesystem::path file = path() / name;
    std::ofstream(file, std::ios::binary) << content;
    return file.string();
  }
};

}  // namespace tanren::trainer

#endif  // TANREN_TESTS_TRAINER_DATA_FILES_H_
