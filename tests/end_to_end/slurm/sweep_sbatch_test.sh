#!/usr/bin/env bash
# deploy/slurm/sweep.sbatch on a real Slurm: each task of the array takes its own line of the settings, in a run
# folder of its own, and saves and comes back by itself. Exits with 77 (skipped) where there is no Slurm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=jobs.sh
source "$here/jobs.sh"
slurm_test_begin
# shellcheck disable=SC2154  # slurm_test_begin sets it
submitted_from=$folder/submit
export TANREN_WORKER=$here/stand_in_worker.sh

# shellcheck disable=SC2016  # nothing of it may be expanded
printf '%s\n' '# learning rates' 'optimizer.learning_rate=1e-4 training.seed=1' '' \
  'optimizer.learning_rate=$(touch pwned)' '  optimizer.learning_rate=5e-4' >settings.txt
command_of() { field "$1" command; }

echo "== three tasks, each with its own settings"
array=$(STAND_IN_WAITS=3 submit --array=1-3 --ntasks=1 "$root/deploy/slurm/sweep.sbatch" 20 settings.txt)
run=$submitted_from/runs/sweep-$array
wait_for_file "$run/3/stepped-0-0"
# The last one, whose job id is the whole array's, gives way in its middle.
timeout 60 scancel --batch --signal=USR1 "${array}_3"
for task in 1 2 3; do wait_for_file "$run/$task/done"; done
expect "tasks" "$(find "$run" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | paste -sd' ')" "1 2 3"
wait_until bash -c "compgen -G '$run/1/slurm-*-0.json' >/dev/null"
expect "first" "$(command_of "$run"/1/slurm-*-0.json | grep -o -- '--set.*')" \
  "--set optimizer.learning_rate=1e-4 --set training.seed=1"
expect "third" "$(command_of "$run"/3/slurm-*-0.json | grep -o -- '--set.*')" "--set optimizer.learning_rate=5e-4"
[[ -z $(find "$folder" -name pwned) ]] || fail "a setting was evaluated"
expect "third's first turn" "$(field "$run"/3/slurm-*-0.json next)" requeued
expect "third's steps in all" "$(<"$run/3/done")" 20
expect "the others' turns" "$(find "$run"/[12] -name 'rank-0-*' -printf '%f\n' | sort -u)" rank-0-0

echo "== a task that has no line fails with its reason"
array=$(submit --array=4 --ntasks=1 "$root/deploy/slurm/sweep.sbatch" 3 settings.txt)
wait_for_state "$array" FAILED
expect "message" "$(grep -c 'has 3 lines of settings, none for task 4' "tanren-$array-4.log")" 1

echo "all passed"
