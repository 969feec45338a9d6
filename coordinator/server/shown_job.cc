#include "coordinator/server/shown_job.h"

#include "coordinator/server/admission.h"

namespace tanren::coordinator {

void HideSecrets(const Caller& caller, Job& job) {
  if (caller.user == job.user() || IsAdmin(caller)) return;
  for (auto& [name, value] : *job.mutable_spec()->mutable_environment()) value = "(hidden)";
}

void HideSecrets(const Caller& caller, HistoryEvent& event) {
  if (event.has_job_submitted()) HideSecrets(caller, *event.mutable_job_submitted()->mutable_job());
  if (event.has_node_joined()) HideSecrets(*event.mutable_node_joined()->mutable_node());
}

void HideSecrets(Node& node) { node.clear_agent_key_sha256(); }

void ShortenForList(Job& job) {
  if (job.spec().has_recipe()) job.mutable_spec()->mutable_recipe()->clear_recipe();
  job.clear_earlier_attempts();
  if (job.has_attempt()) job.mutable_attempt()->mutable_end()->clear_log_tail();
}

}  // namespace tanren::coordinator
