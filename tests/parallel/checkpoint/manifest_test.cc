#include "parallel/checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "parallel/checkpoint/checksum.h"

namespace tanren::parallel {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

TEST(Checksum, IsThatOfXxHash) {
  // From xxhsum 0.8 and the specification's test vectors.
  EXPECT_EQ(ChecksumText(Checksum(std::string_view(""))), "ef46db3751d8e999");
  EXPECT_EQ(ChecksumText(Checksum(std::string_view("a"))), "d24ec4f1a98c6e5b");
  EXPECT_EQ(ChecksumText(Checksum(std::string_view("abc"))), "44bc2cf5ad770999");
  EXPECT_EQ(ChecksumText(Checksum(std::string_view("Nobody inspects the spammish repetition"))),
            "fbcea83c8a378bf1");
}

TEST(Checksum, NoticesEachBitOfEachLength) {
  for (size_t length = 1; length < 100; length += 7) {
    std::string text(length, 'x');
    const uint64_t whole = Checksum(std::string_view(text));
    for (size_t bit = 0; bit < 8 * length; ++bit) {
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_NE(Checksum(std::string_view(text)), whole);
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    }
  }
}

Manifest AManifest() {
  Manifest manifest;
  manifest.meta = {.step = 20,
                   .metric = 1.0 / 3,
                   .extra = {{"cursor", "{\"epoch\": 2}"}, {"名前", "鍛錬"}},
                   .world_size = 2,
                   .optimizer_steps = 19,
                   .loss_scaler = LossScaler::State{65536, 7}};
  manifest.files = {{"rank-0000-of-0002.tanren", 1000}, {"rank-0001-of-0002.tanren", 2000}};
  manifest.index_bytes = 345;
  manifest.index_checksum = "0123456789abcdef";
  return manifest;
}

TEST(Manifest, ComesBackAsItWas) {
  const Manifest manifest = AManifest();
  const auto text = ManifestText(manifest);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto parsed = ParseManifest(*text);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->meta.step, 20);
  EXPECT_EQ(parsed->meta.metric, manifest.meta.metric);
  EXPECT_EQ(parsed->meta.extra, manifest.meta.extra);
  EXPECT_EQ(parsed->meta.world_size, 2);
  EXPECT_EQ(parsed->meta.optimizer_steps, 19);
  EXPECT_EQ(parsed->meta.loss_scaler, manifest.meta.loss_scaler);
  ASSERT_EQ(parsed->files.size(), 2u);
  EXPECT_EQ(parsed->files[1].name, "rank-0001-of-0002.tanren");
  EXPECT_EQ(parsed->files[1].bytes, 2000);
  EXPECT_EQ(parsed->index_bytes, 345);
  EXPECT_EQ(parsed->index_checksum, manifest.index_checksum);
}

TEST(Manifest, TextThatNestsWithoutEndIsRefused) {
  const int levels = 1'000'000;
  const std::string text =
      R"({"format": "tanren-checkpoint", "version": 1, "checksum": "", "x": )" +
      std::string(levels, '[') + std::string(levels, ']') + "}";
  const auto parsed = ParseManifest(text);
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(parsed.status()), HasSubstr("nested more than 64 levels deep"));
  EXPECT_EQ(ParseIndex(text, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Manifest, AnyChangeOfItsContentIsNoticed) {
  const std::string text = *ManifestText(AManifest());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ' || text[i] == '\n') continue;
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(ParseManifest(damaged).ok()) << i << ": " << damaged;
    EXPECT_FALSE(ParseManifest(text.substr(0, i)).ok()) << i;
  }
}

TEST(Manifest, AnotherVersionIsAnErrorThatShowsBoth) {
  EXPECT_THAT(MessageOf(ParseManifest(R"({"format": "tanren-checkpoint", "version": 2})").status()),
              AllOf(HasSubstr("version 2"), HasSubstr("version 1")));
  EXPECT_THAT(MessageOf(ParseManifest("[1]").status()), HasSubstr("'format'"));
  EXPECT_THAT(MessageOf(ParseManifest("{\"format\"").status()), HasSubstr("not JSON"));
}

TEST(Manifest, WhatJsonCannotHoldIsAnErrorBeforeItIsWritten) {
  Manifest manifest = AManifest();
  manifest.meta.metric = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ManifestText(manifest).status().code(), absl::StatusCode::kInvalidArgument);
  manifest = AManifest();
  manifest.meta.extra["random"] = "\xff\xfe";
  EXPECT_EQ(ManifestText(manifest).status().code(), absl::StatusCode::kInvalidArgument);
}

const std::vector<StoredFile> kFiles = {{"first", 4096}, {"second", int64_t{3} << 20}};

std::vector<IndexedPiece> SomePieces() {
  return {{{{"a", kMaster}, {3, 4}, {0, 5}}, at::kFloat, 0, 64, {1}},
          {{{"a", kMaster}, {3, 4}, {5, 12}}, at::kFloat, 1, 0, {0xffffffffffffffff}},
          {{{"b", kFrozen}, {1 << 20}, {0, 1 << 20}}, at::kBFloat16, 1, 1 << 20, {2, 3}}};
}

TEST(Index, ComesBackAsItWas) {
  const auto parsed = ParseIndex(IndexText(SomePieces()), kFiles);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const auto expected = SomePieces();
  ASSERT_EQ(parsed->size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const IndexedPiece& found = (*parsed)[i];
    EXPECT_EQ(found.piece.id, expected[i].piece.id);
    EXPECT_EQ(found.piece.shape, expected[i].piece.shape);
    EXPECT_EQ(found.piece.range, expected[i].piece.range);
    EXPECT_EQ(found.dtype, expected[i].dtype);
    EXPECT_EQ(found.file, expected[i].file);
    EXPECT_EQ(found.offset, expected[i].offset);
    EXPECT_EQ(found.checksums, expected[i].checksums);
  }
}

TEST(Index, PiecesThatCannotBeReadAreErrorsThatNameTheTensor) {
  const auto error_of = [](const auto& damage) {
    auto pieces = SomePieces();
    damage(pieces[2]);
    return MessageOf(ParseIndex(IndexText(pieces), kFiles).status());
  };
  using Piece = IndexedPiece;
  const auto names_it = HasSubstr("frozen of 'b'");
  EXPECT_THAT(error_of([](Piece& piece) { piece.file = 2; }),
              AllOf(names_it, HasSubstr("file 2 of 2")));
  EXPECT_THAT(error_of([](Piece& piece) { piece.offset += 1; }),
              AllOf(names_it, HasSubstr("second"), HasSubstr("3145728")));
  EXPECT_THAT(error_of([](Piece& piece) { piece.offset = INT64_MAX; }), names_it);
  EXPECT_THAT(error_of([](Piece& piece) { piece.offset = -64; }), HasSubstr("'offset'"));
  EXPECT_THAT(error_of([](Piece& piece) { piece.piece.range = {4, 4}; }), names_it);
  EXPECT_THAT(error_of([](Piece& piece) { piece.piece.range.end += 1; }), names_it);
  EXPECT_THAT(error_of([](Piece& piece) { piece.checksums.pop_back(); }),
              AllOf(names_it, HasSubstr("16"), HasSubstr("32")));
  EXPECT_THAT(error_of([](Piece& piece) {
                piece.piece.shape = {int64_t{1} << 60};
                piece.piece.range = {0, int64_t{1} << 60};
              }),
              names_it);
}

TEST(Index, FieldsOfAnotherTypeAreErrorsThatNameTheField) {
  const std::string text = IndexText(SomePieces());
  const auto error_of = [&](std::string_view from, std::string_view to) {
    std::string damaged = text;
    const size_t place = damaged.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    damaged.replace(place, from.size(), to);
    return MessageOf(ParseIndex(damaged, kFiles).status());
  };
  EXPECT_THAT(error_of("\"begin\":0", "\"begin\":0.5"), HasSubstr("'begin': found 0.5"));
  EXPECT_THAT(error_of("\"begin\":0", "\"begin\":1e300"), HasSubstr("'begin'"));
  EXPECT_THAT(error_of("\"end\":5", "\"end\":18446744073709551615"), HasSubstr("'end'"));
  EXPECT_THAT(error_of("\"end\":5", "\"end\":-5"), HasSubstr("'end': found -5"));
  EXPECT_THAT(error_of("\"kind\":\"master\"", "\"kind\":[]"), HasSubstr("'kind'"));
  EXPECT_THAT(error_of("\"F32\"", "\"F64\""), HasSubstr("'F64'"));
  EXPECT_THAT(error_of("[3,4]", "{}"), HasSubstr("'shape'"));
  EXPECT_THAT(error_of("\"tensors\"", "\"tensor\""), HasSubstr("'tensors': found nothing"));
  EXPECT_THAT(error_of("ffffffffffffffff", "fffffffffffffffg"), HasSubstr("hexadecimal"));
}

}  // namespace
}  // namespace tanren::parallel
