#include "coordinator/agent/agent_core.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

namespace tanren::coordinator {
namespace {

bool Lives(const PartReport& part) { return part.state() != PART_ENDED; }

// Whether the coordinator should hear of it at once. Progress can wait for the next report.
bool Differs(const PartReport& a, const PartReport& b) {
  return a.state() != b.state() || a.hung() != b.hung() || a.slurm_job() != b.slurm_job() ||
         a.has_end() != b.has_end() || a.checkpoint().attempt() != b.checkpoint().attempt() ||
         a.checkpoint().step() != b.checkpoint().step() ||
         a.checkpoint().folder() != b.checkpoint().folder();
}

}  // namespace

AgentCore::Token AgentCore::Key(const AttemptToken& token) {
  return {token.epoch(), token.job(), token.attempt()};
}

void AgentCore::Connected() {
  Disconnected();
  connected_ = true;
  changed_ = true;
}

void AgentCore::Disconnected() {
  connected_ = false;
  renewed_ = false;
  superseded_ = false;
  orders_.reset();
  sent_ms_.clear();
  for (auto& [key, part] : parts_) part.listed_in = 0;
}

void AgentCore::OnOrders(const Orders& orders, int64_t /*now_ms*/) {
  if (!connected_) return;
  if (orders.epoch() < epoch_) {
    superseded_ = true;
    return;
  }
  if (orders_.has_value() && orders.sequence() <= orders_->sequence()) return;
  if (orders.epoch() > epoch_) epoch_told_ = false;
  epoch_ = orders.epoch();
  orders_ = orders;
  const auto sent = sent_ms_.find(orders.renewed_report());
  if (sent == sent_ms_.end()) return;
  // From when it was sent: the coordinator counts from when it received it, which is later.
  deadline_ms_ = sent->second + orders.lease_ms() - options_.margin_ms;
  deadline_told_ = false;
  renewed_ = true;
  sent_ms_.erase(sent_ms_.begin(), std::next(sent));
}

void AgentCore::OnParts(std::vector<PartReport> parts, int64_t /*now_ms*/) {
  std::set<Token> here;
  for (PartReport& report : parts) {
    const Token key = Key(report.token());
    here.insert(key);
    Part& part = parts_[key];
    if (!part.seen || Differs(part.report, report)) changed_ = true;
    part.seen = true;
    part.report = std::move(report);
  }
  for (auto it = parts_.begin(); it != parts_.end();) {
    // What was just started may not show yet.
    if (!it->second.seen || here.contains(it->first)) {
      ++it;
      continue;
    }
    if (!it->second.forgotten) changed_ = true;
    it = parts_.erase(it);
  }
}

AgentActions AgentCore::Act(int64_t now_ms) {
  AgentActions actions;
  actions.superseded = superseded_;
  actions.leave = superseded_ || (renewed_ && now_ms >= deadline_ms_);
  if (!std::exchange(epoch_told_, true)) actions.epoch = epoch_;
  if (!deadline_told_) {
    actions.deadline_ms = deadline_ms_;
    deadline_told_ = true;
  }
  if (orders_.has_value()) {
    ObeyOrders(now_ms, actions);
    EndWhatOrdersLeaveOut(actions);
  }
  if (options_.lease_ends_parts && deadline_ms_ != 0 && now_ms >= deadline_ms_) {
    for (const auto& [key, part] : parts_) {
      if (Lives(part.report)) Stop(part.report.token(), FENCED, 0, actions);
    }
  }
  if (connected_ && !actions.leave &&
      (changed_ || now_ms - reported_ms_ >= options_.report_every_ms)) {
    actions.report = MakeReport(now_ms);
  }
  return actions;
}

void AgentCore::ObeyOrders(int64_t now_ms, AgentActions& actions) {
  for (const PartOrder& order : orders_->parts()) {
    if (order.stop() != STOP_REASON_UNSPECIFIED) {
      Stop(order.token(), order.stop(), order.grace_ms(), actions);
    } else if (order.has_start() && now_ms < deadline_ms_) {
      const auto [it, added] = parts_.try_emplace(Key(order.token()));
      if (!added) continue;
      *it->second.report.mutable_token() = order.token();
      it->second.report.set_state(PART_STARTING);
      actions.start.push_back(order.start());
      changed_ = true;
    }
  }
}

void AgentCore::EndWhatOrdersLeaveOut(AgentActions& actions) {
  std::set<Token> named;
  for (const PartOrder& order : orders_->parts()) named.insert(Key(order.token()));
  for (auto& [key, part] : parts_) {
    // The coordinator has spoken of a part only once it has heard of it.
    const bool answered = part.listed_in != 0 && part.listed_in <= orders_->renewed_report();
    if (!answered || named.contains(key)) continue;
    if (Lives(part.report)) {
      Stop(part.report.token(), FENCED, 0, actions);
    } else if (!part.forgotten) {
      part.forgotten = true;
      actions.forget.push_back(part.report.token());
    }
  }
}

void AgentCore::Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms,
                     AgentActions& actions) {
  const auto [it, added] = parts_.try_emplace(Key(token));
  Part& part = it->second;
  if (added) {
    // Never started here, and never to be: the launcher remembers it as ended.
    *part.report.mutable_token() = token;
    part.report.set_state(PART_STOPPING);
    changed_ = true;
  } else if (!Lives(part.report)) {
    return;
  }
  // Said again only to hasten it: the launcher counts its grace from the first time.
  if (part.stopped && grace_ms >= part.stop_grace_ms) return;
  part.stopped = true;
  part.stop_grace_ms = grace_ms;
  actions.stop.push_back({token, reason, grace_ms});
}

NodeReport AgentCore::MakeReport(int64_t now_ms) {
  NodeReport report;
  report.set_sequence(++last_report_);
  if (orders_.has_value()) report.set_orders(orders_->sequence());
  for (auto& [key, part] : parts_) {
    if (part.forgotten) continue;
    *report.add_parts() = part.report;
    if (part.listed_in == 0) part.listed_in = last_report_;
  }
  sent_ms_[last_report_] = now_ms;
  reported_ms_ = now_ms;
  changed_ = false;
  return report;
}

int64_t AgentCore::NextCall(int64_t now_ms) const {
  int64_t next = std::numeric_limits<int64_t>::max();
  if (connected_) next = changed_ ? now_ms : reported_ms_ + options_.report_every_ms;
  if (deadline_ms_ > now_ms) next = std::min(next, deadline_ms_);
  return next;
}

}  // namespace tanren::coordinator
