#!/usr/bin/env bash
# A coordinator, one agent that stands for a Slurm cluster, and the client, on a real Slurm: a recipe trains on two
# nodes, and goes on through kill -9 of coordinator and agent, and through a requeue. The environment names the programs: TANREN,
# TANREN_COORDINATOR_PROGRAM, TANREN_AGENT_PROGRAM, TANREN_WORKER. Exits with 77 (skipped) where there is no Slurm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=jobs.sh
source "$here/jobs.sh"
for program in TANREN TANREN_COORDINATOR_PROGRAM TANREN_AGENT_PROGRAM TANREN_WORKER; do
  [[ -x ${!program:-} ]] || fail "$program must name a program"
done
slurm_test_begin
coordinator_pid='' agent_pid=''
end_all() {
  local status=$?
  # shellcheck disable=SC2086  # none, one or two
  kill -9 $coordinator_pid $agent_pid 2>/dev/null || true
  # It looks at the status of what came before it.
  if ((status != 0)); then
    (exit "$status") || slurm_test_end
  else
    true
    slurm_test_end
  fi
}
trap end_all EXIT

start_coordinator() {
  "$TANREN_COORDINATOR_PROGRAM" --state "$folder/coordinator" --listen "${address:-127.0.0.1:0}" \
    >>"$folder/coordinator.log" 2>&1 &
  coordinator_pid=$!
  disown
  wait_for_file "$folder/coordinator/endpoint"
  wait_for_file "$folder/coordinator/agent.token"
  address=$(<"$folder/coordinator/endpoint")
}
# Ranks of two "nodes" on one host can't share memory as MPI takes it.
start_agent() {
  OMPI_MCA_btl=tcp,self "$TANREN_AGENT_PROGRAM" --launcher slurm --allow-root --name cluster --coordinator "$address" --state "$folder/agent" \
    --token-file "$folder/coordinator/agent.token" --worker "$TANREN_WORKER" >>"$folder/agent.log" 2>&1 &
  agent_pid=$!
  disown
}
tanren() {
  timeout 90 "$TANREN" --coordinator "$address" --token-file "$folder/coordinator/admin.token" --patience 60 "$@"
}
show() { tanren show "$1" --json; }
ask() { show "$1" | python3 -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."): value = value.get(key, "") if isinstance(value, dict) else ""
print(value)' "$2"; }
job_is() { [[ $(ask "$1" state | tr '[:upper:]' '[:lower:]') == "$2" ]]; }
steps_in() { if [[ -s $1 ]]; then wc -l <"$1"; else echo 0; fi; }
has_steps() { (($(steps_in "$1") >= $2)); }

steps=40
write_training "$folder" "$steps" 48
# Behind these steps the training stands still until it is let go, or asked to save.
held=TANREN_FAIL_POINT=training.step_6:hold=$folder/go-5,training.step_21:hold=$folder/go-20

start_coordinator
start_agent
mkdir "$folder/jobs"
submit_recipe() {
  tanren submit "$folder/recipe.yaml" --launcher slurm --ranks 2 --ranks-per-node 1 --folder "$folder/jobs" \
    --env "$held" --json "$@" | python3 -c 'import json, sys; print(json.load(sys.stdin)["jobs"][0])'
}

echo "== a recipe trains on two nodes"
job=$(submit_recipe)
run=$folder/jobs/job-$job
wait_until has_steps "$run/attempt-1/metrics.jsonl" 5
wait_until job_is "$job" running
slurm_job=$(ask "$job" attempt.slurm_job)
[[ -n $slurm_job ]] || slurm_job=$(ask "$job" attempt.slurmJob)
expect "nodes" "$(timeout 60 squeue --noheader --jobs "$slurm_job" --format=%N)" "t[1-2]"

echo "== it runs on while the coordinator is away for longer than a lease, and while the agent is"
kill -9 "$coordinator_pid"
sleep 14
start_coordinator
wait_until job_is "$job" running
kill -9 "$agent_pid"
start_agent
touch "$folder/go-5"
wait_until has_steps "$run/attempt-1/metrics.jsonl" 20
wait_until job_is "$job" running
expect "still Slurm's job" "$(timeout 60 squeue --noheader --format=%i)" "$slurm_job"

echo "== asked to go on later it saves, and goes on from there"
tanren requeue "$job" >/dev/null
wait_until test -e "$run/attempt-2.yaml"
touch "$folder/go-20"
wait_until job_is "$job" succeeded
saved=$(steps_in "$run/attempt-1/metrics.jsonl")
expect "steps that were done when it was asked" "$((saved >= 20 && saved <= 21))" 1
expect "where it went on" "$(grep -c "\"step\": *$((saved + 1))[,}]" "$run/attempt-2/metrics.jsonl")" 1
expect "steps, the first attempt's taken over" "$(steps_in "$run/attempt-2/metrics.jsonl")" "$steps"
expect "latest" "$(readlink "$run/latest")" attempt-2
tanren logs "$job" | grep -q . || fail "no log is shown"

echo "== cancelled, it ends"
rm "$folder/go-5"
job=$(submit_recipe)
wait_until has_steps "$folder/jobs/job-$job/attempt-1/metrics.jsonl" 1
tanren cancel "$job" >/dev/null
wait_until job_is "$job" cancelled
expect "left in Slurm" "$(timeout 60 squeue --noheader | wc -l)" 0

echo "== why it waits in Slurm is told"
timeout 60 scontrol update PartitionName=test State=DOWN
job=$(submit_recipe --slurm exclude=t4)
explains() { tanren explain "$1" | grep -q "$2"; }
wait_until explains "$job" "waits there: PartitionDown"
tanren cancel "$job" >/dev/null
wait_until job_is "$job" cancelled
timeout 60 scontrol update PartitionName=test State=UP

echo "== what Slurm refuses fails in its words"
job=$(submit_recipe --slurm partition=nowhere)
wait_until job_is "$job" failed
show "$job" | grep -q "nvalid partition" || fail "Slurm's words aren't shown"

echo "all passed"
