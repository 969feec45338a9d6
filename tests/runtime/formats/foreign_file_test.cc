#include "runtime/formats/foreign_file.h"

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/formats/model_files.h"
#include "tests/runtime/formats/golden.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

std::string ErrorOf(const fs::path& path) {
  return std::string(ModelFiles::Open(path).status().message());
}

// The golden model's folder with `file` instead of its weights.
fs::path FolderWith(std::string_view file, std::string_view content) {
  const fs::path folder = EmptyFolder("model");
  fs::copy_file(GoldenPath("llama") / "config.json", folder / "config.json");
  WriteFile(folder / file, content);
  return folder;
}

TEST(ForeignFile, APickleIsRefusedByItsNameWithTheCommandThatConvertsIt) {
  for (const char* name : {"pytorch_model.bin", "model.pt", "consolidated.00.pth", "last.ckpt"}) {
    const fs::path folder = FolderWith(name, "anything");
    const std::string expected = fmt::format(
        "{0}: found a pickle file, which can run any program when it is read, expected safetensors "
        "or GGUF; convert it where you trust it: python3 -c \"from transformers import "
        "AutoModelForCausalLM as M; M.from_pretrained('{1}').save_pretrained('{1}')\"",
        (folder / name).string(), folder.string());
    EXPECT_EQ(ErrorOf(folder), expected);
    EXPECT_EQ(ErrorOf(folder / name), expected);
  }
}

TEST(ForeignFile, APickleWithoutAModelsFolderIsConvertedByItself) {
  const fs::path file = WriteFile(EmptyFolder("alone") / "weights.pt", "anything");
  EXPECT_THAT(ErrorOf(file),
              AllOf(HasSubstr(fmt::format("torch.load('{}', weights_only=True)", file.string())),
                    HasSubstr("'model.safetensors'"), HasSubstr("config.json")));
}

TEST(ForeignFile, APickleUnderAnotherNameIsRefusedByItsContent) {
  for (const std::string_view head : {"PK\3\4", "\x80\2"}) {
    const std::string content = std::string(head) + std::string(40, 'x');
    EXPECT_THAT(ErrorOf(FolderWith("model.safetensors", content)),
                HasSubstr("model.safetensors: found a pickle file"));
    EXPECT_THAT(ErrorOf(WriteFile(EmptyFolder("a") / "m.gguf", content)),
                HasSubstr("m.gguf: found a pickle file"));
    EXPECT_THAT(ErrorOf(WriteFile(EmptyFolder("b") / "m.model", content)),
                HasSubstr("m.model: found a pickle file"));
  }
}

TEST(ForeignFile, WhatADownloadLeftInsteadIsNamed) {
  EXPECT_THAT(ErrorOf(FolderWith("model.safetensors",
                                 "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
              AllOf(HasSubstr("found a pointer of Git LFS"), HasSubstr("git lfs pull")));
  EXPECT_THAT(ErrorOf(FolderWith("model.safetensors", "<!DOCTYPE html><html>Sign in")),
              HasSubstr("found a web page"));
}

TEST(ForeignFile, WeightsOfTheOtherFormatAreNamed) {
  const std::string safetensors = std::string("\2\0\0\0\0\0\0\0{}", 10);
  EXPECT_THAT(ErrorOf(WriteFile(EmptyFolder("a") / "m.gguf", safetensors)),
              HasSubstr("m.gguf: found safetensors, expected weights; name its folder"));
  EXPECT_THAT(ErrorOf(WriteFile(EmptyFolder("b") / "m.safetensors", safetensors)),
              HasSubstr("m.safetensors: found safetensors"));
  EXPECT_THAT(ErrorOf(FolderWith("model.safetensors", "GGUF\3\0\0\0" + std::string(40, 'x'))),
              HasSubstr("found a GGUF, expected weights; give it a name that ends in .gguf"));
}

TEST(ForeignFile, WithSafetensorsBesideItAPickleIsNoHindrance) {
  const fs::path folder = EmptyFolder("model");
  fs::copy(GoldenPath("llama"), folder, fs::copy_options::recursive);
  WriteFile(folder / "training_args.bin", "anything");
  EXPECT_TRUE(ModelFiles::Open(folder).ok());
}

}  // namespace
}  // namespace tanren::formats
