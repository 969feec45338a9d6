// Whether a schema may follow another on the wire and on disk.
#ifndef TANREN_TESTS_COORDINATOR_WIRE_SCHEMA_COMPATIBILITY_H_
#define TANREN_TESTS_COORDINATOR_WIRE_SCHEMA_COMPATIBILITY_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"

namespace tanren::coordinator {

// One sentence for each thing of `before` that `after` lacks or has otherwise: messages, fields (by
// number: name, type, label, oneof), enum values, methods. A field or value may go if its number
// and its name are reserved. What is only in `after` is no break.
std::vector<std::string> WhatBreaks(const google::protobuf::FileDescriptorSet& before,
                                    const google::protobuf::DescriptorPool& after);

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_WIRE_SCHEMA_COMPATIBILITY_H_
