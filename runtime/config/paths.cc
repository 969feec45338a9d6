#include "runtime/config/paths.h"

#include <cstdlib>
#include <functional>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/config/schema.h"

namespace tanren::config {
namespace {

namespace fs = std::filesystem;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The value of what stands between ${ and }.
absl::StatusOr<std::string> Variable(const std::string& inside) {
  const size_t separator = inside.find(":-");
  const std::string name = inside.substr(0, separator);
  const char* value = std::getenv(name.c_str());
  if (value != nullptr && *value != '\0') return std::string(value);
  if (separator != std::string::npos) return inside.substr(separator + 2);
  return absl::InvalidArgumentError(fmt::format(
      "the environment has no value for ${{{0}}}; set it, or write ${{{0}:-default}}", name));
}

absl::StatusOr<std::string> Home() {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    return absl::InvalidArgumentError("~ needs the environment's HOME, which is not set");
  }
  return std::string(home);
}

// Calls `visit` with each string field that has a value, and its dotted path.
using Visit = std::function<void(const FieldDescriptor&, const std::string& path, Message&)>;
void VisitText(Message& message, const std::string& section, const Visit& visit) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string path = Join(section, field.name());
    if (field.message_type() != nullptr && field.is_repeated()) {
      for (int n = 0; n < reflection.FieldSize(message, &field); ++n) {
        VisitText(*reflection.MutableRepeatedMessage(&message, &field, n),
                  fmt::format("{}[{}]", path, n), visit);
      }
    } else if (field.message_type() != nullptr) {
      if (reflection.HasField(message, &field)) {
        VisitText(*reflection.MutableMessage(&message, &field), path, visit);
      }
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field.is_repeated() &&
               reflection.HasField(message, &field)) {
      visit(field, path, message);
    }
  }
}

}  // namespace

absl::StatusOr<std::string> ExpandPath(const std::string& path) {
  std::string result;
  size_t next = 0;
  if (path == "~" || path.starts_with("~/")) {
    TANREN_ASSIGN_OR_RETURN(result, Home());
    next = 1;
  }
  while (next < path.size()) {
    if (path.compare(next, 3, "$${") == 0) {
      result += "${";
      next += 3;
    } else if (path.compare(next, 2, "${") == 0) {
      const size_t end = path.find('}', next);
      if (end == std::string::npos) {
        return absl::InvalidArgumentError(
            fmt::format("found \"{}\", expected }} after ${{", path.substr(next)));
      }
      TANREN_ASSIGN_OR_RETURN(const std::string value,
                              Variable(path.substr(next + 2, end - next - 2)));
      // A default may begin with ~ too.
      const bool home = result.empty() && (value == "~" || value.starts_with("~/"));
      if (home) {
        TANREN_ASSIGN_OR_RETURN(result, Home());
      }
      result += home ? value.substr(1) : value;
      next = end + 1;
    } else {
      result += path[next++];
    }
  }
  return result;
}

std::string EscapePath(const std::string& path) {
  std::string result;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path.compare(i, 2, "${") == 0) result += '$';
    result += path[i];
  }
  return result;
}

std::string AbsolutePath(const std::string& path, const fs::path& folder) {
  if (path.empty()) return path;
  fs::path result = (fs::absolute(folder.empty() ? fs::path(".") : folder) / path);
  result = result.lexically_normal();
  // "a/" would normalise to a path with an empty last name.
  return result.has_filename() || result == result.root_path() ? result.string()
                                                               : result.parent_path().string();
}

std::string DataPath(const Recipe& recipe, const std::string& path, const fs::path& otherwise) {
  return AbsolutePath(
      path, recipe.data().folder().empty() ? otherwise : fs::path(recipe.data().folder()));
}

void ResolvePaths(const fs::path& folder, const Places& places, Recipe& recipe,
                  Problems& problems) {
  const auto own_folder = [&](const Place& place) {
    return place.on_command_line ? fs::current_path() : folder;
  };
  // Data last: where it is depends on data.folder.
  for (const bool data : {false, true}) {
    VisitText(recipe, "", [&](const FieldDescriptor& field, const std::string& path, Message& in) {
      if (data ? !LimitsOf(field).data_path() : !LimitsOf(field).path()) return;
      const google::protobuf::Reflection& reflection = *in.GetReflection();
      const Place& place = places.at(path);
      const absl::StatusOr<std::string> expanded = ExpandPath(reflection.GetString(in, &field));
      if (!expanded.ok()) {
        problems.Add(place, fmt::format("{}: {}", path, std::string(expanded.status().message())),
                     path);
        return;
      }
      reflection.SetString(&in, &field,
                           data ? DataPath(recipe, *expanded, own_folder(place))
                                : AbsolutePath(*expanded, own_folder(place)));
    });
  }
}

}  // namespace tanren::config
