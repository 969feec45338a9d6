#!/usr/bin/env bash
# deploy/slurm/train.sbatch on a real Slurm: it places ranks on tasks and on GPUs, saves and comes back
# after USR1, passes a failure on, and leaves a record of each turn. Exits with 77 (skipped) where there
# is no Slurm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=jobs.sh
source "$here/jobs.sh"
slurm_test_begin
# shellcheck disable=SC2154  # slurm_test_begin sets it
submitted_from=$folder/submit
export TANREN_WORKER=$here/stand_in_worker.sh

# Slurm counts in minutes, so this runs beside the rest: 350 steps of 0.1 s, and a signal that comes in the
# first half of a minute's limit (it looks every 30 s, and sends it up to so much too early).
limited=$(submit --ntasks=1 --time=1 --signal=B:USR1@50 "$root/deploy/slurm/train.sbatch" 350)

echo "== four tasks on two nodes"
job=$(submit --nodes=2 --ntasks-per-node=2 "$root/deploy/slurm/train.sbatch" 3)
wait_for_state "$job" COMPLETED 60
run=$submitted_from/runs/slurm-$job
expect "ranks" "$(cat "$run"/rank-*-0 | sort | uniq -c | tr -s ' ' | paste -sd';')" \
  " 2 t1 none from step 0 of 4; 2 t2 none from step 0 of 4"
expect "record's exit code" "$(field "$run/slurm-$job-0.json" exit_code)" 0
expect "record's verdict" "$(field "$run/slurm-$job-0.json" next)" finished

echo "== one rank for each GPU, though Slurm counts one task a node"
job=$(submit --nodes=2 --gpus-per-node=2 "$root/deploy/slurm/train.sbatch" 3)
wait_for_state "$job" COMPLETED 60
expect "ranks" "$(cat "$submitted_from/runs/slurm-$job"/rank-*-0 | cut -d' ' -f2- | sort | uniq -c | tr -s ' ')" \
  " 4 0,1 from step 0 of 4"

echo "== USR1: saved, requeued, resumed, finished"
job=$(submit --ntasks=2 "$root/deploy/slurm/train.sbatch" 60)
run=$submitted_from/runs/slurm-$job
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
run=$submitted_from/runs/slurm-$job
wait_for_file "$run/rank-0-0" 30
timeout 5 scancel --batch --signal=USR1 "$job"
wait_for_state "$job" FAILED 30
expect "record" "$(field "$run/slurm-$job-0.json" next)" "stopped: came back 0 times (TANREN_MAX_REQUEUES)"

echo "== a failure is passed on, and not requeued"
job=$(submit --ntasks=2 "$root/deploy/slurm/train.sbatch" 3 --fail)
wait_for_state "$job" FAILED 30
run=$submitted_from/runs/slurm-$job
expect "record" "$(field "$run/slurm-$job-0.json" exit_code) $(field "$run/slurm-$job-0.json" next)" "3 failed"

echo "== before its time limit a job saves by itself, comes back, and goes on"
wait_for_state "$limited" COMPLETED 120
run=$submitted_from/runs/slurm-$limited
expect "first record" "$(field "$run/slurm-$limited-0.json" exit_code) $(field "$run/slurm-$limited-0.json" next)" \
  "75 requeued"
expect "steps in all" "$(<"$run/done")" 350

echo "all passed"
