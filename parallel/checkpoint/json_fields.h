// Fields of a JSON object that must be there, of one type and in range. Throws
// Error(kInvalidArgument) that names the field, what was found and what was expected.
#ifndef TANREN_PARALLEL_CHECKPOINT_JSON_FIELDS_H_
#define TANREN_PARALLEL_CHECKPOINT_JSON_FIELDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace tanren::parallel {

// kInvalidArgument says where the text stops being JSON, or that it nests more than 64 levels deep.
nlohmann::json ParseJson(const std::string& text);

const nlohmann::json& ObjectField(const nlohmann::json& object, const char* name);
const nlohmann::json& ArrayField(const nlohmann::json& object, const char* name);
const std::string& TextField(const nlohmann::json& object, const char* name);
bool FlagField(const nlohmann::json& object, const char* name);
double NumberField(const nlohmann::json& object, const char* name);
// An integer of at least 0.
int64_t CountField(const nlohmann::json& object, const char* name);
std::vector<int64_t> CountsField(const nlohmann::json& object, const char* name);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_JSON_FIELDS_H_
