#include "tests/coordinator/simulation/followers.h"

#include <utility>

#include "fmt/format.h"
#include "tests/coordinator/simulation/coordinator.h"
#include "tests/coordinator/simulation/spools.h"

namespace tanren::coordinator::simulation {
namespace {

constexpr char kContiguous[] = "log bytes are contiguous or the gap is declared";

}  // namespace

void Followers::Follow(uint64_t job) {
  Follower& follower = *followers_.emplace_back(std::make_unique<Follower>());
  follower.job = job;
  follower.restores = world_.histories.restores;
  world_.queue.After(dice_.Between(0, 20'000) * kMillisecond,
                     [this, &follower] { Open(follower); });
}

bool Followers::IsOver(Follower& follower) const {
  if (follower.restores != world_.histories.restores) follower.done = true;
  return follower.done;
}

void Followers::Open(Follower& follower) {
  if (IsOver(follower)) return;
  const uint64_t stream = ++follower.streams;
  LogRequest request;
  request.set_job(follower.job);
  request.set_attempt(follower.attempt);
  request.set_offset(follower.seen);
  request.set_follow(true);
  const auto current = [&follower, stream] { return follower.streams == stream; };
  // A stream's messages come whole and in order, or it breaks.
  auto session = std::make_shared<std::weak_ptr<LogSession>>();
  const auto opened = world_.coordinator->OpenLog(
      request,
      [this, &follower, current, session](const LogPiece& piece) {
        world_.queue.After(kMillisecond, [this, &follower, current, session, piece] {
          if (!current() || IsOver(follower)) return;
          Take(follower, piece);
          const bool ends = piece.chunk.end();
          if (ends) ++follower.streams;
          if (const auto open = session->lock()) ends ? open->Close() : open->Taken();
          if (ends) OnEnd(follower, absl::OkStatus());
        });
      },
      [this, &follower, current](const absl::Status& status) {
        world_.queue.After(2 * kMillisecond, [this, &follower, current, status] {
          if (current() && !IsOver(follower)) OnEnd(follower, status);
        });
      });
  *session = opened;
  if (opened == nullptr) return OnEnd(follower, absl::UnavailableError("nobody there"));
  opened->Look();
  // Now and then the reader's end breaks.
  if (!world_.calm && dice_.Chance(0.3)) {
    world_.queue.After(dice_.Between(1, 20'000) * kMillisecond, [current, session] {
      const auto open = session->lock();
      if (open != nullptr && current()) open->Break();
    });
  }
}

void Followers::Take(Follower& follower, const LogPiece& piece) {
  const LogChunk& chunk = piece.chunk;
  if (follower.attempt == 0) follower.attempt = piece.token.attempt();
  if (follower.seen == 0) follower.token = piece.token;
  ++world_.figures.log_pieces;
  if (chunk.gap()) ++world_.figures.log_gaps;
  if (KeyOf(piece.token) != KeyOf(follower.token)) {
    world_.Violate(
        kContiguous,
        fmt::format("{} goes on as {}", TokenText(follower.token), TokenText(piece.token)),
        follower.job);
  }
  if (chunk.offset() < follower.seen || (chunk.offset() > follower.seen && !chunk.gap())) {
    world_.Violate(kContiguous,
                   fmt::format("{}: byte {} follows {}", TokenText(piece.token), chunk.offset(),
                               follower.seen),
                   follower.job);
  }
  for (size_t i = 0; i < chunk.data().size(); ++i) {
    if (chunk.data()[i] == LogByte(piece.token, chunk.offset() + i)) continue;
    world_.Violate(
        "an offset names the same byte for ever",
        fmt::format("{}: byte {} is another", TokenText(piece.token), chunk.offset() + i),
        follower.job);
    break;
  }
  follower.seen = chunk.offset() + chunk.data().size();
}

void Followers::OnEnd(Follower& follower, const absl::Status& status) {
  if (status.ok()) return FindNext(follower);
  if (!absl::IsUnavailable(status)) {
    follower.done = true;  // what it asked for isn't there: it was told so
    return;
  }
  ++follower.streams;
  world_.queue.After(dice_.Between(200, 2'000) * kMillisecond,
                     [this, &follower] { Open(follower); });
}

// As the client: waits for the next attempt, or for the job's end.
void Followers::FindNext(Follower& follower) {
  if (IsOver(follower)) return;
  const Core* core = world_.coordinator->core();
  const Job* job = core == nullptr ? nullptr : core->cluster().FindJob(follower.job);
  if (core != nullptr && job == nullptr) {
    follower.done = true;  // forgotten
  } else if (core != nullptr && job->attempts() > follower.attempt) {
    ++follower.attempt;
    follower.seen = 0;
    Open(follower);
  } else if (core != nullptr && IsTerminal(job->state())) {
    follower.done = true;
  } else {
    world_.queue.After(200 * kMillisecond, [this, &follower] { FindNext(follower); });
  }
}

std::string Followers::Unfinished() const {
  for (const auto& follower : followers_) {
    if (IsOver(*follower)) continue;
    return fmt::format("who follows job {} waits for byte {} of attempt {}", follower->job,
                       follower->seen, follower->attempt);
  }
  return "";
}

}  // namespace tanren::coordinator::simulation
