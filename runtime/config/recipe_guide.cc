#include "runtime/config/recipe_guide.h"

#include <sstream>
#include <utility>

#include "fmt/format.h"
#include "google/protobuf/descriptor.h"
#include "proto/recipe.pb.h"
#include "runtime/config/schema.h"
#include "runtime/config/schema_comments.h"

namespace tanren {
namespace {

using config::DefaultText;
using config::EnumText;
using config::SchemaComments;
using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

class Guide {
 public:
  std::string Write() {
    out_ =
        "# Every key of a recipe with its default. What a recipe doesn't give is as here; what it\n"
        "# has to give: model.path or model.config, data.sources, and training.steps or .epochs.\n";
    Section(*Recipe::descriptor(), "");
    return std::move(out_);
  }

 private:
  // The lines of a comment, each behind `indent` and "# ".
  void Comment(const std::string& text, const std::string& indent) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const size_t begin = line.find_first_not_of(' ');
      if (begin != std::string::npos) out_ += fmt::format("{}# {}\n", indent, line.substr(begin));
    }
  }

  // `indent` may end in "# ", where keys of a list's elements are shown.
  void Section(const Descriptor& message, const std::string& indent) {
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      if (indent.empty()) out_ += "\n";
      Comment(comments_.Of(field), indent);
      if (field.message_type() == nullptr) {
        Value(field, indent);
      } else if (field.is_repeated()) {
        out_ += fmt::format("{}{}: []  # a list; each element has:\n", indent, field.name());
        Section(*field.message_type(), indent + "#     ");
      } else {
        out_ += fmt::format("{}{}:\n", indent, field.name());
        Section(*field.message_type(), indent + "  ");
      }
    }
  }

  void Value(const FieldDescriptor& field, const std::string& indent) {
    const bool is_enum = field.enum_type() != nullptr;
    for (int i = 0; is_enum && i < field.enum_type()->value_count(); ++i) {
      const EnumValueDescriptor& value = *field.enum_type()->value(i);
      std::string comment = comments_.Of(value);
      if (comment.ends_with('\n')) comment.pop_back();
      out_ += fmt::format("{}#   {}{}{}\n", indent, EnumText(value), comment.empty() ? "" : ":",
                          comment);
    }
    const bool required = config::LimitsOf(field).required();
    out_ += fmt::format("{}{}: {}  # {}{}\n", indent, field.name(), DefaultText(field),
                        is_enum ? "one of these" : config::Expected(field),
                        required ? ", required" : "");
  }

  const SchemaComments comments_;
  std::string out_;
};

}  // namespace

std::string RecipeGuide() { return Guide().Write(); }

}  // namespace tanren
