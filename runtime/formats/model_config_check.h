// Whether a model's sizes make sense; for the readers of config.json and of GGUF.
#ifndef TANREN_RUNTIME_FORMATS_MODEL_CONFIG_CHECK_H_
#define TANREN_RUNTIME_FORMATS_MODEL_CONFIG_CHECK_H_

#include <string_view>

#include "absl/status/status.h"
#include "runtime/formats/model_config.h"

namespace tanren::formats {

// kInvalidArgument names `where` and the size that is too small, too large or doesn't divide.
absl::Status CheckSizes(const ModelConfig& config, std::string_view where);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_MODEL_CONFIG_CHECK_H_
