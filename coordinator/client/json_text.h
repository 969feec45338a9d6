// Messages as JSON for other programs. Names are those of proto/*.proto, also of enum values in
// lower case; numbers are numbers (64-bit ones too); every field stands there, but for messages
// that aren't set.
#ifndef TANREN_COORDINATOR_CLIENT_JSON_TEXT_H_
#define TANREN_COORDINATOR_CLIENT_JSON_TEXT_H_

#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace tanren::coordinator {

nlohmann::ordered_json JsonOf(const google::protobuf::Message& message);

// On one line. Bytes that aren't UTF-8 are replaced.
std::string JsonLine(const google::protobuf::Message& message);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_JSON_TEXT_H_
