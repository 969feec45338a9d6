#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "coordinator/server/agent_stream.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr int kMostGpus = 1024;
constexpr int kMostLabels = 64;
constexpr size_t kLongestText = 256;

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                  c == '-';
         });
}

bool IsText(const std::string& text) {
  return text.size() <= kLongestText && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isprint(static_cast<unsigned char>(c));
         });
}

}  // namespace

absl::Status CheckNode(const Node& node) {
  if (!IsName(node.name())) {
    return absl::InvalidArgumentError(
        fmt::format("a node's name is 1 to 64 letters, digits, '.', '_' and '-', found {} bytes",
                    node.name().size()));
  }
  if (node.gpus_size() > kMostGpus || node.labels_size() > kMostLabels) {
    return absl::InvalidArgumentError(
        fmt::format("node {}: {} GPUs and {} labels; at most {} and {} are taken", node.name(),
                    node.gpus_size(), node.labels_size(), kMostGpus, kMostLabels));
  }
  if (node.cpu_millis() < 0 || node.memory_bytes() < 0) {
    return absl::InvalidArgumentError(
        fmt::format("node {}: less than nothing of cores or memory", node.name()));
  }
  bool texts = true;
  for (const std::string* text :
       {&node.address(), &node.rack(), &node.launcher(), &node.incarnation(), &node.version()}) {
    texts = texts && IsText(*text);
  }
  for (const auto& [key, value] : node.labels()) texts = texts && IsText(key) && IsText(value);
  for (const Gpu& gpu : node.gpus()) texts = texts && IsText(gpu.name());
  if (!texts) {
    return absl::InvalidArgumentError(fmt::format(
        "node {}: its texts are at most {} printable characters each", node.name(), kLongestText));
  }
  return absl::OkStatus();
}

}  // namespace tanren::coordinator
