#include "coordinator/client/quantities.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kSecond = 1000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kLongest = 3650 * kDay;

// The number at the start of `text`, which is cut off; negative if there is none.
double TakeNumber(std::string_view& text) {
  size_t length = 0;
  while (length < text.size() && (absl::ascii_isdigit(text[length]) || text[length] == '.')) {
    ++length;
  }
  double number = 0;
  if (length == 0 || length > 15 || !absl::SimpleAtod(std::string(text.substr(0, length)), &number))
    return -1;
  text.remove_prefix(length);
  return number;
}

int64_t UnitOf(char letter) {
  switch (letter) {
    case 's':
      return kSecond;
    case 'm':
      return kMinute;
    case 'h':
      return kHour;
    case 'd':
      return kDay;
  }
  return 0;
}

tm LocalTime(int64_t wall_ms) {
  const time_t seconds = wall_ms / 1000;
  tm local = {};
  localtime_r(&seconds, &local);
  return local;
}

}  // namespace

absl::StatusOr<int64_t> ParseDuration(const std::string& text) {
  const absl::Status wrong = absl::InvalidArgumentError(
      fmt::format("found \"{}\", expected a time like 90s, 45m, 2h, 1h30m or 3d", text));
  std::string_view rest = text;
  double total = 0;
  do {
    const double number = TakeNumber(rest);
    if (number < 0 || rest.empty()) return wrong;
    const int64_t unit = UnitOf(rest.front());
    if (unit == 0) return wrong;
    rest.remove_prefix(1);
    total += number * static_cast<double>(unit);
  } while (!rest.empty());
  if (total > static_cast<double>(kLongest)) return wrong;
  return static_cast<int64_t>(std::llround(total));
}

absl::StatusOr<int64_t> ParseTimeOrAge(const std::string& text, int64_t now_ms) {
  if (const auto age = ParseDuration(text); age.ok()) return now_ms - *age;
  absl::Time time;
  std::string why;
  const bool has_zone = !text.empty() && (absl::EndsWithIgnoreCase(text, "z") ||
                                          text.find_first_of("+-", 11) != std::string::npos);
  if (has_zone && absl::ParseTime(absl::RFC3339_full, text, &time, &why) &&
      time != absl::InfiniteFuture() && time != absl::InfinitePast()) {
    return absl::ToUnixMillis(time);
  }
  return absl::InvalidArgumentError(fmt::format(
      "found \"{}\", expected an age like 10m or 2h, or a time like 2026-11-26T05:41:36Z", text));
}

absl::StatusOr<int64_t> ParseBytes(const std::string& text) {
  const absl::Status wrong = absl::InvalidArgumentError(
      fmt::format("found \"{}\", expected a size like 512MiB, 16GiB or 1.5TiB", text));
  std::string_view rest = text;
  const double number = TakeNumber(rest);
  if (number < 0 || rest.empty()) return wrong;
  const size_t power = std::string_view("KMGTP").find(absl::ascii_toupper(rest.front()));
  const std::string unit = absl::AsciiStrToLower(std::string(rest.substr(1)));
  if (power == std::string_view::npos || (!unit.empty() && unit != "b" && unit != "ib")) {
    return wrong;
  }
  const double bytes = std::ldexp(number, 10 * (static_cast<int>(power) + 1));
  if (bytes > std::ldexp(1.0, 60)) return wrong;
  return static_cast<int64_t>(bytes);
}

std::string FormatDuration(int64_t milliseconds) {
  const int64_t ms = std::max<int64_t>(milliseconds, 0);
  if (ms < kMinute) return fmt::format("{} s", ms / kSecond);
  if (ms < kHour) return fmt::format("{} m {} s", ms / kMinute, ms % kMinute / kSecond);
  if (ms < kDay) return fmt::format("{} h {} m", ms / kHour, ms % kHour / kMinute);
  return fmt::format("{} d {} h", ms / kDay, ms % kDay / kHour);
}

std::string FormatSince(int64_t then_ms, int64_t now_ms) {
  return then_ms == 0 ? "" : FormatDuration(now_ms - then_ms);
}

std::string FormatTime(int64_t wall_ms, int64_t now_ms) {
  if (wall_ms == 0) return "";
  const tm then = LocalTime(wall_ms);
  const tm now = LocalTime(now_ms);
  const bool today = then.tm_yday == now.tm_yday && then.tm_year == now.tm_year;
  char text[32];
  strftime(text, sizeof(text), today ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &then);
  return text;
}

}  // namespace tanren::coordinator
