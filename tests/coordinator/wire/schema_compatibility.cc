#include "tests/coordinator/wire/schema_compatibility.h"

#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::ServiceDescriptor;

class Comparison {
 public:
  explicit Comparison(const DescriptorPool& after) : after_(after) {}

  void Files(const FileDescriptor& file) {
    for (int i = 0; i < file.message_type_count(); ++i) Messages(*file.message_type(i));
    for (int i = 0; i < file.enum_type_count(); ++i) Enums(*file.enum_type(i));
    for (int i = 0; i < file.service_count(); ++i) Services(*file.service(i));
  }

  std::vector<std::string> breaks;

 private:
  void Messages(const Descriptor& before) {
    const Descriptor* after = after_.FindMessageTypeByName(before.full_name());
    if (after == nullptr) {
      breaks.push_back(fmt::format("message {} is gone", before.full_name()));
      return;
    }
    for (int i = 0; i < before.field_count(); ++i) Fields(*before.field(i), *after);
    for (int i = 0; i < before.nested_type_count(); ++i) Messages(*before.nested_type(i));
    for (int i = 0; i < before.enum_type_count(); ++i) Enums(*before.enum_type(i));
    for (int i = 0; i < before.reserved_range_count(); ++i) {
      for (int number = before.reserved_range(i)->start; number < before.reserved_range(i)->end;
           ++number) {
        if (!after->IsReservedNumber(number)) {
          breaks.push_back(
              fmt::format("{}: number {} is reserved no more", before.full_name(), number));
        }
      }
    }
  }

  void Fields(const FieldDescriptor& before, const Descriptor& message) {
    const FieldDescriptor* after = message.FindFieldByNumber(before.number());
    if (after == nullptr) {
      if (!message.IsReservedNumber(before.number()) || !message.IsReservedName(before.name())) {
        breaks.push_back(
            fmt::format("{} = {} is gone, and not reserved", before.full_name(), before.number()));
      }
      return;
    }
    const auto expect = [&](const std::string& what, const std::string& was,
                            const std::string& is) {
      if (was == is) return;
      breaks.push_back(fmt::format("{} = {}: its {} was {} and is {}", before.full_name(),
                                   before.number(), what, was, is));
    };
    expect("name", before.name(), after->name());
    expect("type", TypeOf(before), TypeOf(*after));
    expect("label", before.is_repeated() ? "repeated" : "singular",
           after->is_repeated() ? "repeated" : "singular");
    expect("oneof", OneofOf(before), OneofOf(*after));
  }

  static std::string TypeOf(const FieldDescriptor& field) {
    if (field.message_type() != nullptr) return field.message_type()->full_name();
    if (field.enum_type() != nullptr) return field.enum_type()->full_name();
    return field.type_name();
  }

  static std::string OneofOf(const FieldDescriptor& field) {
    const auto* oneof = field.real_containing_oneof();
    return oneof == nullptr ? "none" : oneof->name();
  }

  void Enums(const EnumDescriptor& before) {
    const EnumDescriptor* after = after_.FindEnumTypeByName(before.full_name());
    if (after == nullptr) {
      breaks.push_back(fmt::format("enum {} is gone", before.full_name()));
      return;
    }
    for (int i = 0; i < before.value_count(); ++i) {
      const auto& value = *before.value(i);
      const auto* now = after->FindValueByNumber(value.number());
      if (now == nullptr) {
        if (!after->IsReservedNumber(value.number()) || !after->IsReservedName(value.name())) {
          breaks.push_back(
              fmt::format("{} = {} is gone, and not reserved", value.full_name(), value.number()));
        }
      } else if (now->name() != value.name()) {
        breaks.push_back(
            fmt::format("{} = {} is now {}", value.full_name(), value.number(), now->name()));
      }
    }
  }

  void Services(const ServiceDescriptor& before) {
    const ServiceDescriptor* after = after_.FindServiceByName(before.full_name());
    if (after == nullptr) {
      breaks.push_back(fmt::format("service {} is gone", before.full_name()));
      return;
    }
    for (int i = 0; i < before.method_count(); ++i) {
      const auto& method = *before.method(i);
      const auto* now = after->FindMethodByName(method.name());
      if (now == nullptr) {
        breaks.push_back(fmt::format("method {} is gone", method.full_name()));
      } else if (now->input_type()->full_name() != method.input_type()->full_name() ||
                 now->output_type()->full_name() != method.output_type()->full_name() ||
                 now->client_streaming() != method.client_streaming() ||
                 now->server_streaming() != method.server_streaming()) {
        breaks.push_back(
            fmt::format("method {} takes or gives something else", method.full_name()));
      }
    }
  }

  const DescriptorPool& after_;
};

}  // namespace

std::vector<std::string> WhatBreaks(const google::protobuf::FileDescriptorSet& before,
                                    const DescriptorPool& after) {
  DescriptorPool pool;
  Comparison comparison(after);
  for (const auto& file : before.file()) {
    const FileDescriptor* built = pool.BuildFile(file);
    if (built == nullptr) return {fmt::format("{} can't be read", file.name())};
    comparison.Files(*built);
  }
  return comparison.breaks;
}

}  // namespace tanren::coordinator
