#include "trainer/report/settings.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "fmt/format.h"

namespace tanren::trainer {
namespace {

using Setting = std::pair<std::string, std::string>;  // key and value

// Reads the block style that WriteRecipe writes: a key a line, two spaces deeper in a section or
// list.
class Flattened {
 public:
  static std::vector<Setting> Of(std::string_view recipe) {
    Flattened flattened;
    while (!recipe.empty()) {
      const size_t end = std::min(recipe.find('\n'), recipe.size());
      flattened.AddLine(recipe.substr(0, end));
      recipe.remove_prefix(std::min(end + 1, recipe.size()));
    }
    return std::move(flattened.settings_);
  }

 private:
  void AddLine(std::string_view line) {
    const size_t indent = line.find_first_not_of(' ');
    if (indent == line.npos || line[indent] == '#') return;
    line.remove_prefix(indent);
    if (!line.starts_with("- ")) return AddKey(indent, line);
    Leave(indent);
    const std::string list = Path();
    open_.emplace_back(indent, fmt::format("[{}]", elements_[list]++));
    AddKey(indent + 2, line.substr(2));
  }

  void AddKey(size_t indent, std::string_view line) {
    Leave(indent);
    const size_t colon = line.find(':');
    if (colon == line.npos) {  // an element of a list that is a value itself
      settings_.emplace_back(Path(), line);
      return;
    }
    open_.emplace_back(indent, line.substr(0, colon));
    const size_t value = line.find_first_not_of(' ', colon + 1);
    if (value != line.npos) settings_.emplace_back(Path(), line.substr(value));
  }

  // Closes the sections that a line of this indent is not in.
  void Leave(size_t indent) {
    while (!open_.empty() && open_.back().first >= indent) open_.pop_back();
  }

  std::string Path() const {
    std::string path;
    for (const auto& [indent, name] : open_) {
      if (!path.empty() && name.front() != '[') path += '.';
      path += name;
    }
    return path;
  }

  std::vector<std::pair<size_t, std::string>> open_;  // indent and name of each section
  std::map<std::string, int> elements_;               // how many a list has so far
  std::vector<Setting> settings_;
};

}  // namespace

std::vector<DifferingSetting> DifferingSettings(std::span<const std::string> recipes) {
  std::vector<DifferingSetting> all;
  for (size_t i = 0; i < recipes.size(); ++i) {
    for (auto& [key, value] : Flattened::Of(recipes[i])) {
      auto found = std::find_if(all.begin(), all.end(),
                                [&](const DifferingSetting& one) { return one.key == key; });
      if (found == all.end()) {
        found = all.insert(all.end(), {key, std::vector<std::string>(recipes.size())});
      }
      found->values[i] = std::move(value);
    }
  }
  std::erase_if(all, [](const DifferingSetting& one) {
    return one.key == "name" || std::all_of(one.values.begin(), one.values.end(),
                                            [&](const auto& v) { return v == one.values[0]; });
  });
  return all;
}

}  // namespace tanren::trainer
