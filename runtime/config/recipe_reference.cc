#include "runtime/config/recipe_reference.h"

#include <string_view>
#include <utility>

#include "fmt/format.h"
#include "google/protobuf/descriptor.h"
#include "proto/recipe.pb.h"
#include "runtime/config/schema.h"
#include "runtime/config/schema_comments.h"

namespace tanren {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

constexpr char kHead[] =
    "# Every key of a recipe\n\n"
    "Made by `tanren-worker recipe --markdown` from `proto/recipe.proto`; a test holds it to that. "
    "`tanren-worker recipe` prints\n"
    "the same as a YAML file, and `tanren-worker recipe my.yaml` what a recipe of yours resolves "
    "to.\n\n"
    "A recipe has to give `model.path` or `model.config`, `data.sources`, and `training.steps` or "
    "`training.epochs`; all else has\n"
    "a default. On the command line: `--set optimizer.learning_rate=1e-4`. `${NAME}` and "
    "`${NAME:-default}` in a value are the\n"
    "environment's.\n";

// On one line of a table: what Markdown would take for a cell's end or a tag stands as itself.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') {
      cell += "\\|";
    } else if (c == '<') {
      cell += "&lt;";
    } else if (c != '\n') {
      cell += c;
    }
  }
  const size_t begin = cell.find_first_not_of(' ');
  return begin == cell.npos ? "" : cell.substr(begin);
}

class Reference {
 public:
  std::string Write() {
    out_ = kHead;
    Section(*Recipe::descriptor(), "");
    return std::move(out_);
  }

 private:
  // The table of a message's own keys, then the sections below it. `path` is its place in a recipe.
  void Section(const Descriptor& message, const std::string& path) {
    if (!path.empty()) out_ += fmt::format("\n## {}\n", path);
    out_ += "\n| key | takes | default | |\n|---|---|---|---|\n";
    for (int i = 0; i < message.field_count(); ++i) Row(*message.field(i), path);
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      if (field.message_type() == nullptr || !IsFirstOfItsType(field)) continue;
      Section(*field.message_type(), PathOf(field, path));
    }
  }

  void Row(const FieldDescriptor& field, const std::string& path) {
    std::string meaning = Cell(comments_.Of(field));
    if (field.message_type() != nullptr) {
      if (path.empty() && meaning.empty()) return;  // the sections are headings
      out_ +=
          fmt::format("| `{}` | {} | | {} |\n", field.name(),
                      field.is_repeated() ? "a list, see below" : "a section, see below", meaning);
      return;
    }
    for (int i = 0; field.enum_type() != nullptr && i < field.enum_type()->value_count(); ++i) {
      const EnumValueDescriptor& value = *field.enum_type()->value(i);
      const std::string comment = Cell(comments_.Of(value));
      if (comment.empty()) continue;
      meaning += fmt::format("{}`{}`: {}", meaning.empty() ? "" : "<br>", config::EnumText(value),
                             comment);
    }
    const bool required = config::LimitsOf(field).required();
    out_ += fmt::format("| `{}` | {} | {} | {} |\n", field.name(), Cell(config::Expected(field)),
                        required ? "required" : "`" + config::DefaultText(field) + "`", meaning);
  }

  // Lists of one type (sources and validation) are described once.
  static bool IsFirstOfItsType(const FieldDescriptor& field) {
    for (int i = 0; i < field.index(); ++i) {
      if (field.containing_type()->field(i)->message_type() == field.message_type()) return false;
    }
    return true;
  }

  static std::string PathOf(const FieldDescriptor& field, const std::string& path) {
    std::string names;
    for (int i = 0; i < field.containing_type()->field_count(); ++i) {
      const FieldDescriptor& other = *field.containing_type()->field(i);
      if (other.message_type() != field.message_type()) continue;
      names += fmt::format("{}{}{}{}", names.empty() ? "" : ", ", path, path.empty() ? "" : ".",
                           other.name() + (other.is_repeated() ? "[]" : ""));
    }
    return names;
  }

  const config::SchemaComments comments_;
  std::string out_;
};

}  // namespace

std::string RecipeReference() { return Reference().Write(); }

}  // namespace tanren
