#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "coordinator/server/agent_stream.h"
#include "coordinator/state/spec_check.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int kMostLabels = 64;
constexpr size_t kLongestText = 256;

bool IsText(const std::string& text) {
  return text.size() <= kLongestText && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isprint(static_cast<unsigned char>(c));
         });
}

}  // namespace

absl::Status CheckJoin(const Node& node) {
  TANREN_RETURN_IF_ERROR(CheckNode(node));
  if (node.labels_size() > kMostLabels) {
    return absl::InvalidArgumentError(fmt::format("node {}: {} labels; at most {} are taken",
                                                  node.name(), node.labels_size(), kMostLabels));
  }
  bool texts = true;
  for (const std::string* text :
       {&node.address(), &node.rack(), &node.launcher(), &node.incarnation(), &node.version()}) {
    texts = texts && IsText(*text);
  }
  for (const auto& [key, value] : node.labels()) texts = texts && IsText(key) && IsText(value);
  for (const Gpu& gpu : node.gpus()) texts = texts && IsText(gpu.name());
  if (texts) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "node {}: its texts are at most {} printable characters each", node.name(), kLongestText));
}

}  // namespace tanren::coordinator
