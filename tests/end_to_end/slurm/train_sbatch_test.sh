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

# Slurm counts in minutes, so this runs beside the rest. Slurm looks every 30 s, and sends the signal up to so much too
# early: here between the 5th and the 35th second, so that the script has begun.
limited=$(STAND_IN_WAITS=yes submit --ntasks=1 --time=1 --signal=B:USR1@25 "$root/deploy/slurm/train.sbatch" 20)

echo "== four tasks on two nodes"
job=$(submit --nodes=2 --ntasks-per-node=2 "$root/deploy/slurm/train.sbatch" 3)
wait_for_state "$job" COMPLETED
run=$submitted_from/runs/slurm-$job
expect "ranks" "$(cat "$run"/rank-*-0 | sort | uniq -c | tr -s ' ' | paste -sd';')" \
  " 2 t1 none from step 0 of 4; 2 t2 none from step 0 of 4"
expect "record's exit code" "$(field "$run/slurm-$job-0.json" exit_code)" 0
expect "record's verdict" "$(field "$run/slurm-$job-0.json" next)" finished

echo "== one rank for each GPU, though Slurm counts one task a node"
job=$(submit --nodes=2 --gpus-per-node=2 "$root/deploy/slurm/train.sbatch" 3)
wait_for_state "$job" COMPLETED
expect "ranks" "$(cat "$submitted_from/runs/slurm-$job"/rank-*-0 | cut -d' ' -f2- | sort | uniq -c | tr -s ' ')" \
  " 4 0,1 from step 0 of 4"

echo "== USR1: saved, requeued, resumed, finished"
job=$(STAND_IN_WAITS=yes submit --ntasks=2 "$root/deploy/slurm/train.sbatch" 20)
run=$submitted_from/runs/slurm-$job
for rank in 0 1; do wait_for_file "$run/stepped-$rank-0"; done
timeout 60 scancel --batch --signal=USR1 "$job"
wait_for_file "$run/slurm-$job-0.json"
expect "record's exit code" "$(field "$run/slurm-$job-0.json" exit_code)" 75
expect "record's verdict" "$(field "$run/slurm-$job-0.json" next)" requeued
wait_for_state "$job" COMPLETED
saved=$(<"$run/saved")
((saved > 0 && saved < 20)) || fail "saved at step $saved of 20"
expect "second turn" "$(cut -d' ' -f3- "$run/rank-0-1")" "from step $saved of 2"
expect "steps in all" "$(<"$run/done")" 20
expect "second record" "$(field "$run/slurm-$job-1.json" next)" finished

echo "== USR1 before anything runs: requeued, and finished"
# Where the script looks for its worker it asks scontrol, which here waits until the signal has been sent. Should the
# signal take longer than that, the ranks are there to save.
mkdir "$folder/bin"
ln -s "$TANREN_WORKER" "$folder/bin/tanren-worker"
cat >"$folder/bin/scontrol" <<'SCRIPT'
#!/usr/bin/env bash
[[ $1 != show ]] || { touch "$WAITS.asked"; until [[ -e $WAITS.go ]]; do sleep 0.1; done; exit 0; }
exec /usr/bin/scontrol "$@"
SCRIPT
chmod +x "$folder/bin/scontrol"
job=$(unset TANREN_WORKER && PATH=$folder/bin:$PATH WAITS=$folder/waits STAND_IN_WAITS=yes submit --ntasks=1 "$root/deploy/slurm/train.sbatch" 3)
wait_for_file "$folder/waits.asked"
timeout 60 scancel --batch --signal=USR1 "$job"
touch "$folder/waits.go"
wait_for_state "$job" COMPLETED
run=$submitted_from/runs/slurm-$job
expect "records" "$(field "$run/slurm-$job-0.json" next) $(field "$run/slurm-$job-1.json" next)" "requeued finished"
expect "steps in all" "$(<"$run/done")" 3

echo "== a job that may not come back stops with its reason"
job=$(TANREN_MAX_REQUEUES=0 STAND_IN_WAITS=yes submit --ntasks=1 "$root/deploy/slurm/train.sbatch" 20)
run=$submitted_from/runs/slurm-$job
wait_for_file "$run/stepped-0-0"
timeout 60 scancel --batch --signal=USR1 "$job"
wait_for_state "$job" FAILED
expect "record" "$(field "$run/slurm-$job-0.json" next)" "stopped: came back 0 times (TANREN_MAX_REQUEUES)"

echo "== a failure is passed on, and not requeued"
job=$(submit --ntasks=2 "$root/deploy/slurm/train.sbatch" 3 --fail)
wait_for_state "$job" FAILED
run=$submitted_from/runs/slurm-$job
expect "record" "$(field "$run/slurm-$job-0.json" exit_code) $(field "$run/slurm-$job-0.json" next)" "3 failed"

echo "== before its time limit a job saves by itself, comes back, and goes on"
wait_for_state "$limited" COMPLETED
run=$submitted_from/runs/slurm-$limited
expect "first record" "$(field "$run/slurm-$limited-0.json" exit_code) $(field "$run/slurm-$limited-0.json" next)" \
  "75 requeued"
expect "steps in all" "$(<"$run/done")" 20

echo "all passed"
