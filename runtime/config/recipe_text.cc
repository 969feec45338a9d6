#include "runtime/config/recipe_text.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <iterator>
#include <map>

#include "fmt/format.h"
#include "runtime/config/paths.h"
#include "runtime/config/schema.h"

namespace tanren {
namespace {

using config::DefaultText;
using config::EnumText;
using config::Join;
using config::LimitsOf;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Plain where no reader of YAML could take it for anything but text.
std::string QuoteText(const std::string& text) {
  static const char* const kTaken[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool plain =
      !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '/') &&
      std::all_of(text.begin(), text.end(),
                  [](unsigned char c) {
                    return c < 128 &&
                           (std::isalnum(c) || c == '_' || c == '/' || c == '.' || c == '-');
                  }) &&
      std::find(std::begin(kTaken), std::end(kTaken), lower) == std::end(kTaken);
  if (plain) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += fmt::format("\\{}", c);
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string PathText(const FieldDescriptor& field, const std::string& text) {
  const bool is_path = LimitsOf(field).path() || LimitsOf(field).data_path();
  return QuoteText(is_path ? config::EscapePath(text) : text);
}

// The value of a singular field that holds no message.
std::string ValueText(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (!reflection.HasField(message, &field)) return DefaultText(field);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(*reflection.GetEnum(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return fmt::format("{}", reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format("{}", reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_INT32:
      return fmt::format("{}", reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return fmt::format("{}", reflection.GetInt64(message, &field));
    default:
      return PathText(field, reflection.GetString(message, &field));
  }
}

// "[a, b]": lists of text are the only ones whose elements are no sections.
std::string ListText(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  std::string text;
  for (int n = 0; n < reflection.FieldSize(message, &field); ++n) {
    text += (n == 0 ? "" : ", ") + QuoteText(reflection.GetRepeatedString(message, &field, n));
  }
  return fmt::format("[{}]", text);
}

// `first` is what stands before the first line: the dash of a list's element, or `indent` too.
void WriteMessage(const Message& message, const std::string& first, const std::string& indent,
                  std::string& out) {
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string& before = i == 0 ? first : indent;
    if (field.message_type() == nullptr) {
      out +=
          fmt::format("{}{}: {}\n", before, field.name(),
                      field.is_repeated() ? ListText(message, field) : ValueText(message, field));
    } else if (!field.is_repeated()) {
      out += fmt::format("{}{}{}:\n", indent.empty() ? "\n" : "", before, field.name());
      WriteMessage(reflection.GetMessage(message, &field), indent + "  ", indent + "  ", out);
    } else if (reflection.FieldSize(message, &field) == 0) {
      out += fmt::format("{}{}: []\n", before, field.name());
    } else {
      out += fmt::format("{}{}:\n", before, field.name());
      for (int n = 0; n < reflection.FieldSize(message, &field); ++n) {
        WriteMessage(reflection.GetRepeatedMessage(message, &field, n), indent + "  - ",
                     indent + "    ", out);
      }
    }
  }
}

using Fields = std::vector<std::pair<std::string, std::string>>;

// `only_given` leaves out values that are the defaults.
void ListFields(const Message& message, const std::string& section, bool only_given, Fields& out) {
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string path = Join(section, field.name());
    if (field.message_type() == nullptr) {
      const std::string text =
          field.is_repeated() ? ListText(message, field) : ValueText(message, field);
      if (!only_given || text != DefaultText(field)) out.emplace_back(path, text);
    } else if (!field.is_repeated()) {
      ListFields(reflection.GetMessage(message, &field), path, only_given, out);
    } else {
      for (int n = 0; n < reflection.FieldSize(message, &field); ++n) {
        const std::string element = fmt::format("{}[{}]", path, n);
        ListFields(reflection.GetRepeatedMessage(message, &field, n), element, only_given, out);
      }
    }
  }
}

void Fill(Message& message) {
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (field.message_type() != nullptr && field.is_repeated()) {
      for (int n = 0; n < reflection.FieldSize(message, &field); ++n) {
        Fill(*reflection.MutableRepeatedMessage(&message, &field, n));
      }
    } else if (field.message_type() != nullptr) {
      Fill(*reflection.MutableMessage(&message, &field));
    } else if (!field.is_repeated() && !reflection.HasField(message, &field)) {
      switch (field.cpp_type()) {
        case FieldDescriptor::CPPTYPE_BOOL:
          reflection.SetBool(&message, &field, field.default_value_bool());
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          reflection.SetEnum(&message, &field, field.default_value_enum());
          break;
        case FieldDescriptor::CPPTYPE_DOUBLE:
          reflection.SetDouble(&message, &field, field.default_value_double());
          break;
        case FieldDescriptor::CPPTYPE_UINT64:
          reflection.SetUInt64(&message, &field, field.default_value_uint64());
          break;
        case FieldDescriptor::CPPTYPE_INT32:
          reflection.SetInt32(&message, &field, field.default_value_int32());
          break;
        case FieldDescriptor::CPPTYPE_INT64:
          reflection.SetInt64(&message, &field, field.default_value_int64());
          break;
        default:
          reflection.SetString(&message, &field, field.default_value_string());
      }
    }
  }
}

}  // namespace

void FillDefaults(Recipe& recipe) { Fill(recipe); }

std::string WriteRecipe(const Recipe& recipe) {
  std::string out =
      "# The recipe of this run with every default filled in and every path made absolute.\n"
      "# Training with it again repeats the run.\n\n";
  WriteMessage(recipe, "", "", out);
  return out;
}

Fields RecipeFields(const Recipe& recipe) {
  Fields fields;
  ListFields(recipe, "", false, fields);
  return fields;
}

std::string Digest(const Recipe& recipe) {
  Fields fields;
  ListFields(recipe, "", true, fields);
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  const auto add = [&](const std::string& text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  };
  for (const auto& [path, text] : fields) add(fmt::format("{}: {}\n", path, text));
  return fmt::format("{:016x}", hash);
}

std::vector<RecipeDifference> Differences(const Recipe& before, const Recipe& after) {
  const Fields old_fields = RecipeFields(before);
  const Fields new_fields = RecipeFields(after);
  const std::map<std::string, std::string> old_texts(old_fields.begin(), old_fields.end());
  const std::map<std::string, std::string> new_texts(new_fields.begin(), new_fields.end());
  std::vector<RecipeDifference> differences;
  for (const auto& [path, text] : new_fields) {
    const auto old = old_texts.find(path);
    const std::string old_text = old == old_texts.end() ? "" : old->second;
    if (old_text != text) differences.push_back({path, old_text, text});
  }
  for (const auto& [path, text] : old_fields) {
    if (!new_texts.contains(path)) differences.push_back({path, text, ""});
  }
  return differences;
}

}  // namespace tanren
