#!/usr/bin/env bash
# deploy/slurm/train.sbatch on a real Slurm: it places ranks on tasks and on GPUs, saves and comes back
# after USR1, passes a failure on, and leaves a record of each turn. Exits with 77 (skipped) where there
# is no Slurm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=one_box.sh
source "$here/one_box.sh"
if ! slurm_available; then
  echo "skipped: needs root, slurm-wlm and munge (deploy/install.sh --slurm)"
  exit 77
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/tanren-slurm.XXXXXX")
clean_up() {
  local status=$?
  if ((status != 0)); then tail -n 30 "$folder"/*.log "$folder"/submit/*.log >&2 || true; fi
  slurm_stop "$folder"
  rm -rf "$folder"
}
trap clean_up EXIT
slurm_start "$folder"
mkdir "$folder/submit"
cd "$folder/submit"
export TANREN_WORKER=$here/stand_in_worker.sh
export TANREN_MPI_ARGS="--mca btl tcp,self"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
expect() { # WHAT FOUND WANTED
  [[ $2 == "$3" ]] || fail "$1: found '$2', expected '$3'"
  echo "ok: $1: $3"
}
submit() { timeout 20 sbatch --parsable "$@"; }
state_of() { timeout 5 scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p'; }
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }
wait_for_state() { # JOB STATE SECONDS
  for _ in $(seq $(($3 * 5))); do
    if [[ $(state_of "$1") == "$2" ]]; then return; fi
    sleep 0.2
  done
  fail "job $1 is $(state_of "$1"), not $2, after $3 s"
}
wait_for_file() { # FILE SECONDS
  for _ in $(seq $(($2 * 5))); do
    if [[ -e $1 ]]; then return; fi
    sleep 0.2
  done
  fail "no $1 after $2 s"
}

echo "== four tasks on two nodes"
job=$(submit --nodes=2 --ntasks-per-node=2 "$root/deploy/slurm/train.sbatch" 3)
wait_for_state "$job" COMPLETED 60
run=$folder/submit/runs/slurm-$job
expect "ranks" "$(cat "$run"/rank-*-0 | sort | uniq -c | tr -s ' ' | paste -sd';')" \
  " 2 t1 none from step 0 of 4; 2 t2 none from step 0 of 4"
expect "record's exit code" "$(field "$run/slurm-$job-0.json" exit_code)" 0
expect "record's verdict" "$(field "$run/slurm-$job-0.json" next)" finished

echo "== one rank for each GPU, though Slurm counts one task a node"
job=$(submit --nodes=2 --gpus-per-node=2 "$root/deploy/slurm/train.sbatch" 3)
wait_for_state "$job" COMPLETED 60
expect "ranks" "$(cat "$folder/submit/runs/slurm-$job"/rank-*-0 | cut -d' ' -f2- | sort | uniq -c | tr -s ' ')" \
  " 4 0,1 from step 0 of 4"

echo "== USR1: saved, requeued, resumed, finished"
job=$(submit --ntasks=2 "$root/deploy/slurm/train.sbatch" 60)
run=$folder/submit/runs/slurm-$job
wait_for_file "$run/rank-1-0" 30
sleep 1
timeout 5 scancel --batch --signal=USR1 "$job"
wait_for_file "$run/slurm-$job-0.json" 30
expect "record's exit code" "$(field "$run/slurm-$job-0.json" exit_code)" 75
expect "record's verdict" "$(field "$run/slurm-$job-0.json" next)" requeued
wait_for_state "$job" COMPLETED 90
saved=$(<"$run/saved")
((saved > 0 && saved < 60)) || fail "saved at step $saved of 60"
expect "second turn" "$(cut -d' ' -f3- "$run/rank-0-1")" "from step $saved of 2"
expect "steps in all" "$(<"$run/done")" 60
expect "second record" "$(field "$run/slurm-$job-1.json" next)" finished

echo "== a job that may not come back stops with its reason"
job=$(TANREN_MAX_REQUEUES=0 submit --ntasks=1 "$root/deploy/slurm/train.sbatch" 300)
run=$folder/submit/runs/slurm-$job
wait_for_file "$run/rank-0-0" 30
timeout 5 scancel --batch --signal=USR1 "$job"
wait_for_state "$job" FAILED 30
expect "record" "$(field "$run/slurm-$job-0.json" next)" "stopped: came back 0 times (TANREN_MAX_REQUEUES)"

echo "== a failure is passed on, and not requeued"
job=$(submit --ntasks=2 "$root/deploy/slurm/train.sbatch" 3 --fail)
wait_for_state "$job" FAILED 30
run=$folder/submit/runs/slurm-$job
expect "record" "$(field "$run/slurm-$job-0.json" exit_code) $(field "$run/slurm-$job-0.json" next)" "3 failed"

echo "all passed"
