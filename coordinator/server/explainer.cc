#include "coordinator/server/explainer.h"

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

constexpr int kMostWaiting = 256;
// So far behind it catches up though nobody asks: well before the loop forgets its events.
constexpr uint64_t kFarBehind = 1024;
constexpr size_t kEventsAtOnce = 512;

}  // namespace

Explainer::Explainer(Loop& loop) : loop_(loop), thread_(std::chrono::hours(1), nullptr) {
  // The first copy is made while little happens.
  thread_.Run([this] { (void)CatchUp(); });
  subscription_ = loop_.recent().Subscribe([this] { LookHowFar(); });
}

Explainer::~Explainer() {
  loop_.recent().Unsubscribe(subscription_);
  Stop();
}

absl::Status Explainer::Ask(Question question) {
  if (++waiting_ > kMostWaiting) {
    --waiting_;
    return absl::ResourceExhaustedError(
        fmt::format("{} wait for an explanation already: try again later", kMostWaiting));
  }
  thread_.Run([this, question = std::move(question)] {
    Answer(question);
    --waiting_;
  });
  return absl::OkStatus();
}

void Explainer::Answer(const Question& question) {
  const absl::Status status =
      stopping_ ? absl::UnavailableError("the coordinator is going down") : CatchUp();
  question(status, status.ok() ? &copy_.cluster() : nullptr);
}

void Explainer::LookHowFar() {
  if (loop_.recent().last() < followed_ + kFarBehind || catching_up_.exchange(true)) return;
  thread_.Run([this] {
    if (!stopping_) (void)CatchUp();
    catching_up_ = false;
  });
}

absl::Status Explainer::CatchUp() {
  if (!copied_) TANREN_RETURN_IF_ERROR(CopyAnew());
  const uint64_t last = loop_.recent().last();
  // A store that was opened anew may know more than was told, or less than the copy.
  while (copy_.cluster().last_sequence != last) {
    RecentEvents::Events events;
    absl::Status followed;
    if (copy_.cluster().last_sequence > last ||
        !loop_.recent().Read(copy_.cluster().last_sequence + 1, kEventsAtOnce, events)) {
      followed = absl::OutOfRangeError("the events are not kept any more");
    }
    for (size_t i = 0; followed.ok() && i < events.size(); ++i) {
      followed = copy_.Follow(*events[i]);
    }
    if (!followed.ok()) {
      LogInfo("the explainer's copy is made anew: {}", std::string(followed.message()));
      return CopyAnew();
    }
    if (copy_.cluster().last_sequence > last) break;
  }
  followed_ = copy_.cluster().last_sequence;
  return absl::OkStatus();
}

absl::Status Explainer::CopyAnew() {
  copied_ = false;
  auto made = std::make_shared<std::promise<absl::StatusOr<SchedulingCopy>>>();
  std::future<absl::StatusOr<SchedulingCopy>> copy = made->get_future();
  TANREN_RETURN_IF_ERROR(loop_.Read([made](const absl::Status& status, const View* view) {
    if (status.ok()) {
      made->set_value(SchedulingCopy(view->core.cluster()));
    } else {
      made->set_value(status);
    }
  }));
  TANREN_ASSIGN_OR_RETURN(copy_, copy.get());
  copied_ = true;
  followed_ = copy_.cluster().last_sequence;
  return absl::OkStatus();
}

}  // namespace tanren::coordinator
