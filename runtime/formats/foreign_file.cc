#include "runtime/formats/foreign_file.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "runtime/base/error.h"

namespace tanren::formats {
namespace {

namespace fs = std::filesystem;

// What files begin with. torch.save writes a zip, before version 1.6 a bare pickle of protocol 2.
constexpr std::string_view kZip = "PK\x03\x04";
constexpr std::string_view kPickle = "\x80\x02";
constexpr std::string_view kLfsPointer = "version https://git-lfs.";
constexpr std::string_view kGguf = "GGUF";

// A command that a shell takes as it stands.
std::string ConversionOf(const fs::path& file) {
  const fs::path directory = file.parent_path();
  std::error_code ignored;
  if (fs::exists(directory / "config.json", ignored)) {
    return fmt::format(
        "python3 -c \"from transformers import AutoModelForCausalLM as M; "
        "M.from_pretrained('{0}').save_pretrained('{0}')\"",
        directory.string());
  }
  // Tensors that share memory would be refused, hence the clones.
  return fmt::format(
      "python3 -c \"import torch, safetensors.torch as s; s.save_file({{k: v.contiguous().clone() "
      "for k, v in torch.load('{}', weights_only=True).items()}}, 'model.safetensors')\", and put "
      "it beside the model's config.json and tokenizer.json",
      file.string());
}

}  // namespace

bool HasPickleName(const fs::path& file) {
  constexpr std::array kEndings = {".bin", ".pt", ".pth", ".ckpt"};
  return std::find(kEndings.begin(), kEndings.end(), file.extension()) != kEndings.end();
}

std::optional<fs::path> FindPickle(const fs::path& directory) {
  std::optional<fs::path> first;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (HasPickleName(entry->path()) && (!first || entry->path() < *first)) first = entry->path();
  }
  return first;
}

absl::Status RefusePickle(const fs::path& file) {
  return absl::InvalidArgumentError(
      fmt::format("{}: found a pickle file, which can run any program when it is read, expected "
                  "safetensors or GGUF; convert it where you trust it: {}",
                  file.string(), ConversionOf(file)));
}

absl::Status CheckForeign(const fs::path& file, std::span<const std::byte> bytes) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (head.starts_with(kZip) || head.starts_with(kPickle)) return RefusePickle(file);
  const auto found = [&](std::string_view what, std::string_view advice) {
    return absl::InvalidArgumentError(
        fmt::format("{}: found {}, expected weights; {}", file.string(), what, advice));
  };
  if (head.starts_with(kLfsPointer)) {
    return found("a pointer of Git LFS", "fetch the file itself: git lfs pull");
  }
  if (head.starts_with("<!") || head.starts_with("<html")) {
    return found("a web page", "the download went wrong: fetch the file again");
  }
  if (head.starts_with(kGguf)) return found("a GGUF", "give it a name that ends in .gguf");
  if (head.size() > 8 && head[8] == '{') {
    return found("safetensors",
                 "name its folder, in which it is model.safetensors beside a config.json");
  }
  return absl::OkStatus();
}

}  // namespace tanren::formats
