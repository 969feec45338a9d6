#include "trainer/started_alike.h"

#include <algorithm>
#include <vector>

#include "fmt/format.h"
#include "parallel/checkpoint/rank_agreement.h"
#include "runtime/config/recipe_text.h"

namespace tanren::trainer {
namespace {

constexpr char kUnit[] = "started alike";  // names the collectives
constexpr size_t kMostShown = 4;

// The value of a setting as a person reads it; an element that a list lacks has none.
std::string Value(const std::string& yaml) { return yaml.empty() ? "nothing" : yaml; }

}  // namespace

std::string DifferenceOf(const StartedAs& first, const StartedAs& other) {
  if (other.program != first.program) {
    return fmt::format("it is {}, and rank 0 is {}; install the same one on every host",
                       other.program, first.program);
  }
  if (other.command != first.command) {
    return fmt::format("it was started with {}, and rank 0 with {}; start all ranks alike",
                       other.command, first.command);
  }
  const std::vector<RecipeDifference> differences = Differences(first.recipe, other.recipe);
  if (differences.empty()) return "";
  std::string text = "it has another recipe than rank 0: ";
  for (size_t i = 0; i < std::min(differences.size(), kMostShown); ++i) {
    const RecipeDifference& one = differences[i];
    text += fmt::format("{}{}: {} instead of {}", i == 0 ? "" : ", ", one.key, Value(one.after),
                        Value(one.before));
  }
  if (differences.size() > kMostShown) {
    text += fmt::format(", and {} more", differences.size() - kMostShown);
  }
  return text + "; start all ranks with the same recipe";
}

absl::Status CheckStartedAlike(comm::Communicator& ranks, const StartedAs& mine) {
  StartedAs first;
  first.program = parallel::BroadcastText(ranks, mine.program, 0, kUnit);
  first.command = parallel::BroadcastText(ranks, mine.command, 0, kUnit);
  // Another program's recipe may hold what this one can't read; then the programs differ already.
  first.recipe.ParseFromString(
      parallel::BroadcastText(ranks, mine.recipe.SerializeAsString(), 0, kUnit));
  const std::string difference = DifferenceOf(first, mine);
  return parallel::AgreeOnStatus(
      ranks, difference.empty() ? absl::OkStatus() : absl::FailedPreconditionError(difference),
      kUnit);
}

}  // namespace tanren::trainer
