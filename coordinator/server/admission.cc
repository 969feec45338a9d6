#include "coordinator/server/admission.h"

#include <chrono>
#include <map>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

struct Rule {
  std::vector<CallerRole> roles;  // one of them is enough
  bool stream = false;
};

// What isn't here is denied.
const std::map<std::string_view, Rule>& Rules() {
  static const auto* const rules = [] {
    const std::vector<CallerRole> people = {CallerRole::kView, CallerRole::kSubmit,
                                            CallerRole::kAdmin};
    const std::vector<CallerRole> submitters = {CallerRole::kSubmit, CallerRole::kAdmin};
    const std::vector<CallerRole> administrators = {CallerRole::kAdmin};
    const std::vector<CallerRole> agents = {CallerRole::kAgent};
    return new std::map<std::string_view, Rule>{
        {"Jobs.Hello", {people}},
        {"Jobs.Submit", {submitters}},
        {"Jobs.Cancel", {submitters}},
        {"Jobs.Hold", {submitters}},
        {"Jobs.Release", {submitters}},
        {"Jobs.Requeue", {submitters}},
        {"Jobs.Get", {people}},
        {"Jobs.List", {people}},
        {"Jobs.Explain", {people}},
        {"Jobs.Watch", {people, true}},
        {"Jobs.ReadLog", {people, true}},
        {"Jobs.ListNodes", {people}},
        {"Jobs.Status", {people}},
        {"Jobs.ListQuotas", {people}},
        {"Admin.Drain", {administrators}},
        {"Admin.Resume", {administrators}},
        {"Admin.RemoveNode", {administrators}},
        {"Admin.SetQuota", {administrators}},
        {"Admin.Backup", {administrators}},
        {"Admin.IssueToken", {administrators}},
        {"Admin.RevokeToken", {administrators}},
        {"Admin.ListTokens", {administrators}},
        {"Agents.Hello", {agents}},
        {"Agents.Serve", {agents, true}},
    };
  }();
  return *rules;
}

}  // namespace

absl::StatusOr<Caller> Admission::Admit(const grpc::CallbackServerContext& context,
                                        std::string_view method) const {
  const auto rule = Rules().find(method);
  if (rule == Rules().end()) {
    return absl::PermissionDeniedError(fmt::format("{} is open to nobody", method));
  }
  const auto header = context.client_metadata().find("authorization");
  std::string_view authorization;
  if (header != context.client_metadata().end()) {
    authorization = {header->second.data(), header->second.size()};
  }
  TANREN_ASSIGN_OR_RETURN(Caller caller, credentials_.Check(authorization, rule->second.roles));
  if (!rule->second.stream && context.deadline() == std::chrono::system_clock::time_point::max()) {
    return absl::InvalidArgumentError(
        fmt::format("{} needs a deadline: nothing here waits for ever", method));
  }
  return caller;
}

bool IsAdmin(const Caller& caller) { return caller.Has(CallerRole::kAdmin); }

absl::Status CheckReason(const std::string& reason) {
  if (reason.size() <= 1000) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("reason: {} bytes; at most 1000 are taken", reason.size()));
}

}  // namespace tanren::coordinator
