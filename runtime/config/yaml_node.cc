#include "runtime/config/yaml_node.h"

#include <functional>
#include <sstream>
#include <utility>

#include "fmt/format.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace tanren::config {
namespace {

constexpr size_t kMaxDepth = 32;

// Places for a file; for the command line all are the same.
using PlaceOf = std::function<Place(const YAML::Mark&)>;

class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const PlaceOf& place_of) : place_of_(place_of) {}

  YamlNode Take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    Put({.kind = YamlNode::Kind::kNull, .place = place_of_(mark)});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw YAML::ParserException(mark, "aliases (*name) are not supported; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseAnchor(mark, anchor);
    if (tag != "?" && tag != "!" && !tag.empty()) RefuseTag(mark, tag);
    Put({.kind = YamlNode::Kind::kScalar,
         .place = place_of_(mark),
         .scalar = value,
         .quoted = tag == "!"});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Begin(mark, tag, anchor, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Begin(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { End(); }

 private:
  static void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      throw YAML::ParserException(mark, "anchors (&name) are not supported");
    }
  }
  static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    throw YAML::ParserException(mark, fmt::format("tags are not supported, found {}", tag));
  }

  void Begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
             YamlNode::Kind kind) {
    RefuseAnchor(mark, anchor);
    if (tag != "?" && tag != "!" && !tag.empty()) RefuseTag(mark, tag);
    if (open_.size() >= kMaxDepth) {
      throw YAML::ParserException(mark, fmt::format("more than {} levels deep", kMaxDepth));
    }
    open_.push_back({.kind = kind, .place = place_of_(mark)});
  }

  void End() {
    YamlNode node = std::move(open_.back());
    open_.pop_back();
    Put(std::move(node));
  }

  void Put(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    YamlNode& parent = open_.back();
    const bool is_key =
        parent.kind == YamlNode::Kind::kMap && parent.keys.size() == parent.items.size();
    // (Of a value that isn't there, the parser gives the place of what follows.)
    const bool is_value = parent.kind == YamlNode::Kind::kMap && !is_key;
    if (is_value && node.kind == YamlNode::Kind::kNull) node.place = parent.keys.back().place;
    (is_key ? parent.keys : parent.items).push_back(std::move(node));
  }

  const PlaceOf& place_of_;
  std::vector<YamlNode> open_;
  YamlNode root_;
};

absl::StatusOr<YamlNode> Parse(const std::string& text, const PlaceOf& place_of) {
  const auto error = [&](const YAML::Mark& mark, const std::string& message) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", place_of(mark).text, message));
  };
  if (text.find('\0') != std::string::npos) {
    return error(YAML::Mark(), "holds NUL bytes; expected a YAML text");
  }
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder builder(place_of);
    if (!parser.HandleNextDocument(builder)) return YamlNode{.place = place_of(YAML::Mark())};
    YamlNode root = builder.Take();
    TreeBuilder second(place_of);
    if (parser.HandleNextDocument(second)) {
      return absl::InvalidArgumentError(fmt::format(
          "{}: a second YAML document begins here; expected one", second.Take().place.text));
    }
    return root;
  } catch (const YAML::Exception& exception) {
    return error(exception.mark, fmt::format("not valid YAML: {}", exception.msg));
  }
}

}  // namespace

std::string DescribeNode(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a section";
    case YamlNode::Kind::kScalar:
      break;
  }
  constexpr size_t kShown = 60;
  const bool cut = node.scalar.size() > kShown;
  return fmt::format("{}\"{}{}\"", node.quoted ? "the quoted text " : "",
                     node.scalar.substr(0, kShown), cut ? "…" : "");
}

absl::StatusOr<YamlNode> ParseYaml(const std::string& text, const std::string& name) {
  return Parse(text, [&](const YAML::Mark& mark) {
    const bool known = mark.line >= 0;
    return Place{
        fmt::format("{}:{}:{}", name, known ? mark.line + 1 : 1, known ? mark.column + 1 : 1)};
  });
}

absl::StatusOr<YamlNode> ParseYamlValue(const std::string& text, const Place& place) {
  return Parse(text, [&](const YAML::Mark&) { return place; });
}

}  // namespace tanren::config
