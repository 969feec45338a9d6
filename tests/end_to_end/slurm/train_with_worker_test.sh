#!/usr/bin/env bash
# deploy/slurm/train.sbatch with the real worker (TANREN_WORKER) on two nodes of a real Slurm: USR1 saves, the job
# comes back, goes on, and has done every step once. Exits with 77 (skipped) where there is no Slurm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=jobs.sh
source "$here/jobs.sh"
[[ -x ${TANREN_WORKER:-} ]] || fail "TANREN_WORKER must name the worker to test"
slurm_test_begin

steps=60
write_training "$folder" "$steps" 192

steps_in() { # METRICS: "first last count"; nothing where there is none yet
  [[ -s $1 ]] || return 0
  python3 -c 'import json, sys
steps = [json.loads(line)["step"] for line in open(sys.argv[1]) if line.endswith("\n")]
print(*([steps[0], steps[-1], len(set(steps))] if steps else []))' "$1"
}
has_steps() { # METRICS COUNT
  local found
  found=$(steps_in "$1")
  [[ -n $found ]] && ((${found##* } >= $2))
}

echo "== USR1: saved, requeued, resumed, finished"
job=$(submit --nodes=2 --ntasks-per-node=1 "$root/deploy/slurm/train.sbatch" "$folder/recipe.yaml" \
  --set optimizer.learning_rate=1e-3)
run=$folder/submit/runs/slurm-$job
wait_until has_steps "$run/metrics.jsonl" 3
timeout 60 scancel --batch --signal=USR1 "$job"
wait_for_file "$run/slurm-$job-0.json"
expect "record's exit code" "$(field "$run/slurm-$job-0.json" exit_code)" 75
expect "record's verdict" "$(field "$run/slurm-$job-0.json" next)" requeued
saved=$(steps_in "$run/metrics.jsonl")
saved=${saved##* }
((saved < steps)) || fail "all $steps steps were done before the signal"
expect "the checkpoint" "$(<"$run/checkpoints/latest")" "step-$(printf %08d "$saved")"
wait_for_state "$job" COMPLETED
expect "second record" "$(field "$run/slurm-$job-1.json" exit_code) $(field "$run/slurm-$job-1.json" next)" "0 finished"
expect "steps: first, last, count" "$(steps_in "$run/metrics.jsonl")" "1 $steps $steps"
expect "lines, each step once" "$(wc -l <"$run/metrics.jsonl")" "$steps"
expect "where it went on" "$(grep -o 'resuming behind step [0-9]*' "$run/logs/rank-0.log")" "resuming behind step $saved"
expect "its override" "$(grep -c 'learning_rate: 0.001' "$run/recipe.yaml")" 1
[[ -s $run/model/model.safetensors ]] || fail "no model was exported"

echo "== a recipe that is wrong fails with its reason, and is not requeued"
sed 's/"batch_rows"/"batchrows"/' "$folder/recipe.yaml" >"$folder/wrong.yaml"
job=$(submit --nodes=2 --ntasks-per-node=1 "$root/deploy/slurm/train.sbatch" "$folder/wrong.yaml")
wait_for_state "$job" FAILED
expect "record's verdict" "$(field "$folder/submit/runs/slurm-$job/slurm-$job-0.json" next)" failed
expect "messages" "$(grep -c '^tanren-worker: .*unknown key "batchrows" in training; did you mean "batch_rows"' \
  "$folder/submit/tanren-$job.log")" 1

echo "all passed"
