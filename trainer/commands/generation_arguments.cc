#include "trainer/commands/generation_arguments.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "runtime/base/error.h"
#include "trainer/commands/json_lines.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kUnlimited = std::numeric_limits<double>::max();
// Beyond any logit, and fp32 holds it with a logit added.
constexpr double kMaximumBias = 1e30;

// What a number may be: [least, most], or (least, most].
struct Range {
  double least = 0;
  double most = kUnlimited;
  bool without_least = false;

  bool Holds(double value) const {
    return value <= most && (without_least ? value > least : value >= least);
  }
  std::string Expected() const {
    if (without_least) return fmt::format("above {}, at most {}", least, most);
    return most == kUnlimited ? fmt::format("{} or more", least)
                              : fmt::format("{} to {}", least, most);
  }
};

constexpr Range kTemperature{}, kShare{0, 1}, kTopP{0, 1, /*without_least=*/true},
    kPenalty{0.001, 1000}, kBias{-kMaximumBias, kMaximumBias};

// request[key] if it is there.
absl::Status Override(const Json& request, const char* key, const Range& range, double& value) {
  if (!request.contains(key)) return absl::OkStatus();
  TANREN_ASSIGN_OR_RETURN(const double given, NumberOr(request, key, value));
  if (!range.Holds(given)) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is {}, expected {}", key, given, range.Expected()));
  }
  value = given;
  return absl::OkStatus();
}

template <typename Integer>
absl::Status OverrideInteger(const Json& request, const char* key, const Range& range,
                             Integer& value) {
  if (!request.contains(key)) return absl::OkStatus();
  double given = 0;
  TANREN_RETURN_IF_ERROR(Override(request, key, range, given));
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

std::optional<int32_t> TokenId(std::string_view text) {
  int32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0) return std::nullopt;
  return id;
}

absl::Status OverrideLogitBias(const Json& request, std::map<int32_t, float>& logit_bias) {
  const auto given = request.find("logit_bias");
  if (given == request.end()) return absl::OkStatus();
  if (!given->is_object()) {
    return absl::InvalidArgumentError(
        fmt::format("\"logit_bias\" is {}, expected an object of token ids and numbers, as in "
                    "{{\"123\": -5}}",
                    given->type_name()));
  }
  logit_bias.clear();
  for (const auto& [key, value] : given->items()) {
    const std::optional<int32_t> id = TokenId(key);
    if (!id) {
      return absl::InvalidArgumentError(
          fmt::format("\"logit_bias\" has the key \"{}\", expected the id of a token", key));
    }
    double bias = 0;
    const absl::Status status = Override(*given, key.c_str(), kBias, bias);
    if (!status.ok()) return Annotate(status, "\"logit_bias\"");
    logit_bias[*id] = static_cast<float>(bias);
  }
  return absl::OkStatus();
}

std::optional<double> Number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "123=-5"; empty, or what is wrong with it.
std::string ParseBias(const std::string& text, std::map<int32_t, float>& logit_bias) {
  const size_t middle = text.find('=');
  const std::optional<int32_t> id = TokenId(std::string_view(text).substr(0, middle));
  const std::optional<double> bias = middle == std::string::npos
                                         ? std::nullopt
                                         : Number(std::string_view(text).substr(middle + 1));
  if (!id || !bias || !kBias.Holds(*bias)) {
    return fmt::format("found \"{}\", expected ID=VALUE, a token's id and a number, as in 123=-5",
                       text);
  }
  logit_bias[*id] = static_cast<float>(*bias);
  return {};
}

CLI::Validator Within(const Range& range) {
  return CLI::Validator(
      [range](const std::string& text) {
        const std::optional<double> value = Number(text);
        if (value && range.Holds(*value)) return std::string();
        return fmt::format("found {}, expected {}", text, range.Expected());
      },
      "");
}

}  // namespace

void AddGenerationFlags(CLI::App& command, GenerationRequest& defaults) {
  command.add_option("--max-new-tokens", defaults.max_new_tokens, "Tokens of an answer at most")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--temperature", defaults.sampling.temperature, "0: always the likeliest token")
      ->check(Within(kTemperature))
      ->capture_default_str();
  command.add_option("--top-k", defaults.sampling.top_k, "Only the k likeliest tokens; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--top-p", defaults.sampling.top_p,
                  "Only the likeliest tokens that together reach this probability")
      ->check(Within(kTopP))
      ->capture_default_str();
  command
      .add_option("--min-p", defaults.sampling.min_p,
                  "Only tokens with this share of the likeliest token's probability, or more")
      ->check(Within(kShare))
      ->capture_default_str();
  command
      .add_option("--repetition-penalty", defaults.sampling.repetition_penalty,
                  "Above 1: what came before, in the prompt too, is less likely to come again")
      ->check(Within(kPenalty))
      ->capture_default_str();
  command
      .add_option_function<std::vector<std::string>>(
          "--logit-bias",
          [&defaults](const std::vector<std::string>& given) {
            for (const std::string& one : given) {
              const std::string problem = ParseBias(one, defaults.sampling.logit_bias);
              if (!problem.empty()) throw CLI::ValidationError("--logit-bias", problem);
            }
          },
          "ID=VALUE: added to a token's logit; may be given repeatedly")
      ->allow_extra_args(false);
  command.add_option("--seed", defaults.sampling.seed, "Of the random draws")
      ->capture_default_str();
  command.add_option("--stop", defaults.stop,
                     "A text that ends an answer; may be given repeatedly");
}

absl::StatusOr<GenerationRequest> WithOverrides(const Json& request, GenerationRequest defaults) {
  TANREN_RETURN_IF_ERROR(
      OverrideInteger(request, "max_new_tokens", {0, 1 << 30}, defaults.max_new_tokens));
  SamplingOptions& sampling = defaults.sampling;
  TANREN_RETURN_IF_ERROR(Override(request, "temperature", kTemperature, sampling.temperature));
  TANREN_RETURN_IF_ERROR(OverrideInteger(request, "top_k", {0, 1 << 30}, sampling.top_k));
  TANREN_RETURN_IF_ERROR(Override(request, "top_p", kTopP, sampling.top_p));
  TANREN_RETURN_IF_ERROR(Override(request, "min_p", kShare, sampling.min_p));
  TANREN_RETURN_IF_ERROR(
      Override(request, "repetition_penalty", kPenalty, sampling.repetition_penalty));
  TANREN_RETURN_IF_ERROR(OverrideLogitBias(request, sampling.logit_bias));
  TANREN_RETURN_IF_ERROR(OverrideInteger(request, "seed", {0, 9007199254740992.0}, sampling.seed));
  TANREN_RETURN_IF_ERROR(OverrideStop(request, defaults.stop));
  return defaults;
}

absl::Status CheckTokens(const SamplingOptions& sampling, int64_t vocabulary_size) {
  for (const auto& [id, bias] : sampling.logit_bias) {
    if (id < vocabulary_size) continue;
    return absl::InvalidArgumentError(
        fmt::format("the logit bias is of token {}, expected 0 to {}", id, vocabulary_size - 1));
  }
  return absl::OkStatus();
}

}  // namespace tanren::trainer
