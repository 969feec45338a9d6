// Normalization form C, run by run, so that each changed byte can be traced to the run it replaces.
// The field's tables are those of Unicode 9: later marks neither move nor compose, so each of them
// is a run of its own.
#include <utf8proc.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/text/unicode.h"
#include "runtime/text/unicode_additions.h"

namespace tanren::text {
namespace {

constexpr size_t kCodePoints = 0x110000;

// Runs longer than this are cut: ordering the marks of one run takes quadratic time.
constexpr size_t kMaximumRun = 16384;  // bytes

std::string NormalizeRun(std::string_view run) {
  utf8proc_uint8_t* result = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(run.data()),
                   static_cast<utf8proc_ssize_t>(run.size()), &result,
                   static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  TANREN_CHECK(length >= 0, "normalising: {}", utf8proc_errmsg(length));
  return {reinterpret_cast<const char*>(result), static_cast<size_t>(length)};
}

struct Tables {
  // Code points before which the text may not be cut, because they reorder with or compose with
  // what stands before them, or decompose into something that does.
  std::vector<bool> joins = std::vector<bool>(kCodePoints);
  std::vector<bool> changes = std::vector<bool>(kCodePoints);  // not its own normal form
};

Tables MakeTables() {
  Tables tables;
  std::vector<bool> composes(kCodePoints);
  std::vector<utf8proc_int32_t> first(kCodePoints, -1);
  for (utf8proc_int32_t c = 0; c < static_cast<utf8proc_int32_t>(kCodePoints); ++c) {
    const utf8proc_property_t* property = utf8proc_get_property(c);
    const bool hangul = c >= 0xAC00 && c <= 0xD7A3;  // decomposes by rule, and starts its run
    if (hangul || property->decomp_seqindex == UINT16_MAX || property->decomp_type != 0) continue;
    std::array<utf8proc_int32_t, 16> buffer;
    int boundary = 0;
    const auto count = utf8proc_decompose_char(
        c, buffer.data(), static_cast<utf8proc_ssize_t>(buffer.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    if (count < 1 || count > static_cast<utf8proc_ssize_t>(buffer.size())) continue;
    first[static_cast<size_t>(c)] = buffer[0];
    std::string alone;
    AppendUtf8(static_cast<char32_t>(c), &alone);
    tables.changes[static_cast<size_t>(c)] = NormalizeRun(alone) != alone;
    for (utf8proc_ssize_t i = 1; i < count; ++i) {
      composes[static_cast<size_t>(buffer[static_cast<size_t>(i)])] = true;
    }
  }
  for (size_t c = 0x1161; c <= 0x1175; ++c) composes[c] = true;  // Hangul vowels
  for (size_t c = 0x11A8; c <= 0x11C2; ++c) composes[c] = true;  // Hangul final consonants
  for (size_t c = 0; c < kCodePoints; ++c) {
    const size_t head = first[c] < 0 ? c : static_cast<size_t>(first[c]);
    tables.joins[c] =
        !IsLateMark(static_cast<char32_t>(c)) &&
        (composes[head] ||
         utf8proc_get_property(static_cast<utf8proc_int32_t>(head))->combining_class != 0);
  }
  return tables;
}

// The run that starts at `begin`: up to the next place where the text may be cut. Sets
// `normal` if it is one code point that is its own normal form.
std::string_view RunAt(std::string_view text, size_t begin, const Tables& tables, bool* normal) {
  const DecodedCodePoint first = DecodeFirst(text.substr(begin));
  const size_t after_first = begin + first.length;
  size_t at = after_first;
  if (IsLateMark(first.code_point)) {
    *normal = true;
    return text.substr(begin, first.length);
  }
  while (at < text.size() && at - begin < kMaximumRun) {
    const DecodedCodePoint next = DecodeFirst(text.substr(at));
    if (!tables.joins[next.code_point]) break;
    at += next.length;
  }
  *normal = at == after_first && !tables.changes[first.code_point];
  return text.substr(begin, at - begin);
}

}  // namespace

bool NormalizeNfc(std::string_view valid_text, std::string* out, SourceMap* map) {
  static const Tables tables = MakeTables();
  std::string result;
  size_t copied = 0;  // everything before this byte is in `result`
  for (size_t at = 0; at < valid_text.size();) {
    // ASCII is in normal form unless something that joins it follows.
    if (static_cast<unsigned char>(valid_text[at]) < 0x80 &&
        (at + 1 == valid_text.size() || static_cast<unsigned char>(valid_text[at + 1]) < 0x80)) {
      ++at;
      continue;
    }
    bool is_normal = false;
    const std::string_view run = RunAt(valid_text, at, tables, &is_normal);
    const size_t end = at + run.size();
    if (std::string normal = is_normal ? "" : NormalizeRun(run); !is_normal && normal != run) {
      result.append(valid_text.substr(copied, at - copied)).append(normal);
      map->AppendCopy(at - copied, copied);
      map->AppendReplacement(normal.size(), at, end);
      copied = end;
    }
    at = end;
  }
  if (copied == 0) return false;
  result.append(valid_text.substr(copied));
  map->AppendCopy(valid_text.size() - copied, copied);
  *out = std::move(result);
  return true;
}

}  // namespace tanren::text
