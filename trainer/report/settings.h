// In which settings the recipes of several runs differ.
#ifndef TANREN_TRAINER_REPORT_SETTINGS_H_
#define TANREN_TRAINER_REPORT_SETTINGS_H_

#include <span>
#include <string>
#include <vector>

namespace tanren::trainer {

struct DifferingSetting {
  std::string key;  // "optimizer.learning_rate", "data.sources[0].path"
  // One for each recipe, as written there; empty where it isn't given.
  std::vector<std::string> values;
};

// `recipes` are as WriteRecipe writes them; what isn't so has no settings. In the order of the
// first recipe that has the key. The runs' names don't count.
std::vector<DifferingSetting> DifferingSettings(std::span<const std::string> recipes);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_SETTINGS_H_
