// What the schema can't say: which settings contradict each other, and what a recipe can't lack.
#ifndef TANREN_RUNTIME_CONFIG_CHECKS_H_
#define TANREN_RUNTIME_CONFIG_CHECKS_H_

#include "proto/recipe.pb.h"
#include "runtime/config/problems.h"

namespace tanren::config {

// `recipe` has its defaults filled in; `places` say what was given. A value of 0 or "" counts as
// not given. Nothing is said about keys that already have a problem, or that may be absent only
// because their section holds an unknown key.
void CheckAgreement(const Recipe& recipe, const Places& places, Problems& problems);

}  // namespace tanren::config

#endif  // TANREN_RUNTIME_CONFIG_CHECKS_H_
