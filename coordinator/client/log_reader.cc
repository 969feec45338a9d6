#include "coordinator/client/log_reader.h"

#include <thread>
#include <utility>

#include "coordinator/client/job_text.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

// A line that is longer is written in pieces.
constexpr size_t kLongestHeld = 64 << 10;

// How many bytes at the end of `text` are the beginning of a character that isn't whole.
size_t UnfinishedBytes(std::string_view text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const size_t needs = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return needs > back ? back : 0;
  }
  return 0;
}

// One attempt's log, from one stream to the next.
class AttemptLog {
 public:
  AttemptLog(Client& client, const LogQuery& query, LogPrinter& printer)
      : client_(client), query_(query), printer_(printer), retries_(client) {}

  // Until the coordinator says that there is no more.
  absl::Status Read() {
    while (true) {
      const grpc::Status status = ReadStream();
      if (status.ok()) return absl::OkStatus();
      if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) continue;  // a day has passed
      if (!retries_.WaitToTryAgain(status)) return client_.Explain(status);
    }
  }

  uint32_t attempt() const { return attempt_; }

 private:
  grpc::Status ReadStream() {
    LogRequest request;
    request.set_job(query_.job);
    request.set_attempt(attempt_ != 0 ? attempt_ : query_.attempt);
    request.set_role(query_.role);
    request.set_rank(query_.rank);
    request.set_follow(query_.follow);
    // Of several ranks one offset says nothing: they are read anew, and what was seen is skipped.
    if (query_.rank >= 0 && seen_.contains(query_.rank)) {
      request.set_offset(seen_[query_.rank]);
    } else if (seen_.empty()) {
      request.set_offset(query_.offset);
      request.set_tail_bytes(query_.tail_bytes);
    }
    if (query_.rank < 0 || seen_.empty()) request.set_since_ms(query_.since_ms);
    grpc::ClientContext context;
    client_.PrepareStream(context);
    const auto stream = client_.jobs().ReadLog(&context, request);
    LogReply reply;
    while (stream->Read(&reply)) Take(reply);
    return stream->Finish();
  }

  void Take(const LogReply& reply) {
    retries_.GotThrough();
    if (reply.attempt() != 0 && reply.attempt() != attempt_) {
      // The next attempt's log, in the same stream.
      attempt_ = reply.attempt();
      seen_.clear();
      printer_.Finish();
    }
    if (!reply.note().empty()) printer_.Note(reply.note());
    if (!reply.data().empty() || reply.gap()) TakeData(reply);
  }

  void TakeData(const LogReply& reply) {
    std::string_view data = reply.data();
    uint64_t offset = reply.offset();
    const auto seen = seen_.find(reply.rank());
    if (seen != seen_.end()) {
      if (offset > seen->second) {
        printer_.Note(fmt::format("bytes {} to {} of rank {}'s log were dropped", seen->second,
                                  offset, reply.rank()));
      } else {
        const size_t known = std::min<uint64_t>(seen->second - offset, data.size());
        data.remove_prefix(known);
        offset += known;
      }
    } else if (reply.gap()) {
      printer_.Note(
          fmt::format("bytes before {} of rank {}'s log were dropped", offset, reply.rank()));
    }
    if (seen == seen_.end() || offset + data.size() > seen->second) {
      seen_[reply.rank()] = offset + data.size();
    }
    printer_.Print(reply.rank(), data);
    printer_.Flush();
  }

  Client& client_;
  LogQuery query_;
  LogPrinter& printer_;
  Client::Retries retries_;
  std::map<int, uint64_t> seen_;  // by rank: the first byte that wasn't
  uint32_t attempt_ = 0;
};

// The number of the job's first attempt after `attempt` of which there is anything to tell; 0: none
// yet. A history that was restored numbers on from far beyond those of the past.
uint32_t AttemptAfter(const Job& job, uint32_t attempt) {
  for (const Attempt& earlier : job.earlier_attempts()) {
    if (earlier.token().attempt() > attempt) return earlier.token().attempt();
  }
  return job.attempt().token().attempt() > attempt ? job.attempt().token().attempt() : 0;
}

absl::StatusOr<Job> GetJob(Client& client, uint64_t id) {
  JobRequest request;
  request.set_job(id);
  TANREN_ASSIGN_OR_RETURN(JobReply reply, client.Call(client.jobs(), &Jobs::Stub::Get, request));
  return std::move(*reply.mutable_job());
}

}  // namespace

void LogPrinter::Write(int rank, std::string_view text) {
  const std::string shown = raw_ ? std::string(text) : ForTerminal(text);
  if (tell_apart_) fmt::print(out_, "[{}] ", rank);
  std::fwrite(shown.data(), 1, shown.size(), out_);
}

void LogPrinter::Print(int rank, std::string_view data) {
  if (raw_ && !tell_apart_) {
    std::fwrite(data.data(), 1, data.size(), out_);
    return;
  }
  std::string& held = held_[rank];
  held += data;
  // Lines of several ranks come whole; of one, all that is whole characters.
  if (tell_apart_) {
    size_t begin = 0;
    for (size_t end; (end = held.find('\n', begin)) != std::string::npos; begin = end + 1) {
      Write(rank, std::string_view(held).substr(begin, end + 1 - begin));
    }
    held.erase(0, begin);
    if (held.size() <= kLongestHeld) return;
    held += '\n';
  }
  const size_t kept = UnfinishedBytes(held);
  Write(rank, std::string_view(held).substr(0, held.size() - kept));
  held.erase(0, held.size() - kept);
}

void LogPrinter::Finish() {
  for (auto& [rank, held] : held_) {
    if (held.empty()) continue;
    Write(rank, tell_apart_ ? held + "\n" : held);
    held.clear();
  }
  Flush();
}

void LogPrinter::Note(const std::string& text) {
  Flush();
  fmt::print(stderr, "tanren: {}\n", ForTerminal(text));
}

absl::Status ReadLogs(Client& client, const LogQuery& query, LogPrinter& printer) {
  LogQuery next = query;
  while (true) {
    AttemptLog log(client, next, printer);
    const absl::Status status = log.Read();
    printer.Finish();
    // Of an attempt that was being read: a history that was restored from before it knows of none.
    const bool is_of_the_past = query.follow && log.attempt() != 0 && absl::IsNotFound(status);
    if (!is_of_the_past) TANREN_RETURN_IF_ERROR(status);
    if (!query.follow) return absl::OkStatus();
    if (is_of_the_past) {
      printer.Note(fmt::format("the coordinator knows no more of attempt {}", log.attempt()));
    }
    // A further attempt may follow: wait until the job has ended or it is there.
    next.attempt = 0;
    while (next.attempt == 0) {
      TANREN_ASSIGN_OR_RETURN(const Job job, GetJob(client, query.job));
      next.attempt = AttemptAfter(job, log.attempt());
      if (next.attempt != 0) break;
      if (HasEnded(job.state())) return absl::OkStatus();
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    next.offset = 0;
    next.tail_bytes = 0;
    next.since_ms = 0;
    if (next.attempt > 1) printer.Note(fmt::format("attempt {} begins", next.attempt));
  }
}

}  // namespace tanren::coordinator
