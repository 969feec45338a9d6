#include "trainer/commands/generation_arguments.h"

#include <cmath>
#include <limits>

#include "runtime/base/error.h"
#include "trainer/commands/json_lines.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kUnlimited = std::numeric_limits<double>::max();

// request[key] if it is there, within [least, most].
absl::Status Override(const Json& request, const char* key, double least, double most,
                      double& value) {
  TANREN_ASSIGN_OR_RETURN(const double given, NumberOr(request, key, value));
  if (!(given >= least && given <= most)) {
    const std::string expected = most == kUnlimited ? fmt::format("{} or more", least)
                                                    : fmt::format("{} to {}", least, most);
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is {}, expected {}", key, given, expected));
  }
  value = given;
  return absl::OkStatus();
}

template <typename Integer>
absl::Status OverrideInteger(const Json& request, const char* key, double least, double most,
                             Integer& value) {
  if (!request.contains(key)) return absl::OkStatus();
  double given = 0;
  TANREN_RETURN_IF_ERROR(Override(request, key, least, most, given));
  if (given != std::floor(given)) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" is {}, expected an integer", key, given));
  }
  value = static_cast<Integer>(given);
  return absl::OkStatus();
}

absl::Status OverrideStop(const Json& request, std::vector<std::string>& stop) {
  const auto given = request.find("stop");
  if (given == request.end()) return absl::OkStatus();
  stop.clear();
  const Json all = given->is_array() ? *given : Json::array({*given});
  for (const Json& one : all) {
    if (!one.is_string()) {
      return absl::InvalidArgumentError("\"stop\" must be a string or an array of strings");
    }
    stop.push_back(one.get<std::string>());
  }
  return absl::OkStatus();
}

}  // namespace

void AddGenerationFlags(CLI::App& command, GenerationRequest& defaults) {
  command.add_option("--max-new-tokens", defaults.max_new_tokens, "Tokens of an answer at most")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--temperature", defaults.sampling.temperature, "0: always the likeliest token")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--top-k", defaults.sampling.top_k, "Only the k likeliest tokens; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--top-p", defaults.sampling.top_p,
                  "Only the likeliest tokens that together reach this probability")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--seed", defaults.sampling.seed, "Of the random draws")
      ->capture_default_str();
  command.add_option("--stop", defaults.stop,
                     "A text that ends an answer; may be given repeatedly");
}

absl::StatusOr<GenerationRequest> WithOverrides(const Json& request, GenerationRequest defaults) {
  TANREN_RETURN_IF_ERROR(
      OverrideInteger(request, "max_new_tokens", 0, 1 << 30, defaults.max_new_tokens));
  SamplingOptions& sampling = defaults.sampling;
  TANREN_RETURN_IF_ERROR(Override(request, "temperature", 0, kUnlimited, sampling.temperature));
  TANREN_RETURN_IF_ERROR(OverrideInteger(request, "top_k", 0, 1 << 30, sampling.top_k));
  TANREN_RETURN_IF_ERROR(Override(request, "top_p", 0, 1, sampling.top_p));
  TANREN_RETURN_IF_ERROR(OverrideInteger(request, "seed", 0, 9007199254740992.0, sampling.seed));
  TANREN_RETURN_IF_ERROR(OverrideStop(request, defaults.stop));
  return defaults;
}

}  // namespace tanren::trainer
