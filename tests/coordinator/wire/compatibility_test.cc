// Programs of this release and of the one before understand each other, and a store of the one
// before is read: the schemas of then are in schemas.binpb, messages of then in recorded/.
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>

#include "gmock/gmock.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "proto/coordinator.pb.h"
#include "proto/history.pb.h"
#include "tests/coordinator/wire/schema_compatibility.h"

namespace tanren::coordinator {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::DescriptorProto;
using google::protobuf::DynamicMessageFactory;
using google::protobuf::FileDescriptorSet;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::TextFormat;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::filesystem::path kFolder = "tests/coordinator/wire";

std::string Contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

FileDescriptorSet SavedSchemas() {
  FileDescriptorSet schemas;
  EXPECT_TRUE(schemas.ParseFromString(Contents(kFolder / "schemas.binpb")));
  return schemas;
}

// All programs link the generated code; a reference makes sure that the files are registered.
const DescriptorPool& CurrentSchemas() {
  AgentMessage::descriptor();
  HistoryEvent::descriptor();
  return *DescriptorPool::generated_pool();
}

// Recorded messages are named by their type: "Job.running.txtpb" and "Job.running.binpb".
std::string TypeOf(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return "tanren.coordinator." + name.substr(0, name.find('.'));
}

void ForEachRecorded(const std::function<void(const std::string& type, const std::string& bytes,
                                              const std::string& text)>& check) {
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder / "recorded")) {
    if (entry.path().extension() != ".txtpb") continue;
    SCOPED_TRACE(entry.path().string());
    std::filesystem::path bytes = entry.path();
    bytes.replace_extension(".binpb");
    check(TypeOf(entry.path()), Contents(bytes), Contents(entry.path()));
    ++seen;
  }
  EXPECT_GE(seen, 6);
}

TEST(Wire, SchemasOnlyGrow) {
  EXPECT_THAT(WhatBreaks(SavedSchemas(), CurrentSchemas()), IsEmpty());
}

TEST(Wire, RecordedMessagesAreReadAsTheyWereMeant) {
  ForEachRecorded([](const std::string& type, const std::string& bytes, const std::string& text) {
    const auto* descriptor = CurrentSchemas().FindMessageTypeByName(type);
    ASSERT_NE(descriptor, nullptr) << type;
    const Message* prototype = MessageFactory::generated_factory()->GetPrototype(descriptor);
    std::unique_ptr<Message> read(prototype->New()), meant(prototype->New());
    ASSERT_TRUE(read->ParseFromString(bytes));
    ASSERT_TRUE(TextFormat::ParseFromString(text, meant.get()));
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*read, *meant))
        << read->DebugString();
    EXPECT_TRUE(read->GetReflection()->GetUnknownFields(*read).empty());
  });
}

// What this release writes reaches a program of the one before, which passes on what it doesn't
// know.
TEST(Wire, MessagesPassThroughAProgramOfTheReleaseBefore) {
  DescriptorPool before;
  const FileDescriptorSet saved = SavedSchemas();
  for (const auto& file : saved.file()) ASSERT_NE(before.BuildFile(file), nullptr);
  DynamicMessageFactory factory;
  ForEachRecorded([&](const std::string& type, const std::string&, const std::string& text) {
    const auto* now = CurrentSchemas().FindMessageTypeByName(type);
    const auto* then = before.FindMessageTypeByName(type);
    ASSERT_NE(then, nullptr);
    std::unique_ptr<Message> sent(MessageFactory::generated_factory()->GetPrototype(now)->New());
    ASSERT_TRUE(TextFormat::ParseFromString(text, sent.get()));
    std::unique_ptr<Message> passed(factory.GetPrototype(then)->New());
    ASSERT_TRUE(passed->ParseFromString(sent->SerializeAsString()));
    std::unique_ptr<Message> returned(sent->New());
    ASSERT_TRUE(returned->ParseFromString(passed->SerializeAsString()));
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*sent, *returned));
  });
}

class Break : public ::testing::Test {
 protected:
  // What is said when the schema of jobs is changed.
  std::vector<std::string> Changed(const std::function<void(DescriptorProto& resources)>& change) {
    FileDescriptorSet changed = SavedSchemas();
    for (auto& file : *changed.mutable_file()) {
      for (auto& message : *file.mutable_message_type()) {
        if (message.name() == "Resources") change(message);
      }
    }
    pool_ = std::make_unique<DescriptorPool>();
    for (const auto& file : changed.file()) EXPECT_NE(pool_->BuildFile(file), nullptr);
    return WhatBreaks(SavedSchemas(), *pool_);
  }
  std::unique_ptr<DescriptorPool> pool_;
};

TEST_F(Break, ARemovedField) {
  EXPECT_THAT(
      Changed([](DescriptorProto& resources) { resources.mutable_field()->DeleteSubrange(0, 1); }),
      ElementsAre(HasSubstr("Resources.gpus = 1 is gone, and not reserved")));
}

TEST_F(Break, NoneIfNumberAndNameAreReserved) {
  EXPECT_THAT(Changed([](DescriptorProto& resources) {
                resources.mutable_field()->DeleteSubrange(0, 1);
                resources.add_reserved_name("gpus");
                auto& range = *resources.add_reserved_range();
                range.set_start(1);
                range.set_end(2);
              }),
              IsEmpty());
}

TEST_F(Break, ANumberUsedForSomethingElse) {
  EXPECT_THAT(Changed([](DescriptorProto& resources) {
                resources.mutable_field(0)->set_name("accelerators");
                resources.mutable_field(0)->clear_json_name();
              }),
              ElementsAre(HasSubstr("its name was gpus and is accelerators")));
}

TEST_F(Break, AnotherType) {
  EXPECT_THAT(
      Changed([](DescriptorProto& resources) {
        resources.mutable_field(0)->set_type(google::protobuf::FieldDescriptorProto::TYPE_STRING);
      }),
      ElementsAre(HasSubstr("its type was int32 and is string")));
}

TEST_F(Break, ARepeatedField) {
  EXPECT_THAT(Changed([](DescriptorProto& resources) {
                resources.mutable_field(0)->set_label(
                    google::protobuf::FieldDescriptorProto::LABEL_REPEATED);
              }),
              ElementsAre(HasSubstr("its label was singular and is repeated")));
}

TEST_F(Break, NoneByANewField) {
  EXPECT_THAT(Changed([](DescriptorProto& resources) {
                auto& field = *resources.add_field();
                field.set_name("disk_bytes");
                field.set_number(99);
                field.set_type(google::protobuf::FieldDescriptorProto::TYPE_INT64);
                field.set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
              }),
              IsEmpty());
}

}  // namespace
}  // namespace tanren::coordinator
