# shellcheck shell=bash
# What tests do with jobs on the one-box Slurm (one_box.sh): sourced, not run. The clean-up ends the
# daemons and deletes everything; a failure shows their logs first.
#
#   slurm_test_begin    makes $folder, starts the Slurm in it, and stands in $folder/submit; exits with 77
#                       (skipped) where there is no Slurm

# shellcheck source-path=SCRIPTDIR source=one_box.sh
source "$(dirname "${BASH_SOURCE[0]}")/one_box.sh"

slurm_test_end() {
  local status=$?
  if ((status != 0)); then tail -n 30 "$folder"/*.log "$folder"/submit/*.log >&2 || true; fi
  slurm_stop "$folder"
  rm -rf "$folder"
}

slurm_test_begin() {
  if ! slurm_available; then
    echo "skipped: needs root, slurm-wlm and munge (deploy/install.sh --slurm)"
    exit 77
  fi
  folder=$(mktemp -d "${TMPDIR:-/tmp}/tanren-slurm.XXXXXX")
  trap slurm_test_end EXIT
  # Other users than root reach what is theirs in it.
  chmod 711 "$folder"
  slurm_start "$folder"
  mkdir "$folder/submit"
  cd "$folder/submit" || exit 1
  # Ranks of two "nodes" on one host can't share memory as MPI takes it.
  export TANREN_MPI_ARGS="--mca btl tcp,self"
}

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
expect() { # WHAT FOUND WANTED
  [[ $2 == "$3" ]] || fail "$1: found '$2', expected '$3'"
  echo "ok: $1: $3"
}
submit() { timeout 60 sbatch --parsable "$@"; }
state_of() { timeout 60 scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p'; }
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }
# Seconds that anything may take: a machine may be ten times slower than this one, and busy.
patience=240
wait_until() { # COMMAND...: until it succeeds
  local end=$((SECONDS + patience))
  until "$@"; do
    ((SECONDS < end)) || fail "not after $patience s: $*"
    sleep 0.1
  done
}
job_has_state() { [[ $(state_of "$1") == "$2" ]]; }
wait_for_state() { # JOB STATE
  local end=$((SECONDS + patience))
  until job_has_state "$@"; do
    ((SECONDS < end)) || fail "job $1 is $(state_of "$1"), not $2, after $patience s"
    sleep 0.1
  done
}
wait_for_file() { wait_until test -e "$1"; } # FILE
write_training() { # FOLDER STEPS ROWS: recipe.yaml of a small model, with so many rows in a step
  PYTHONPATH=$(dirname "${BASH_SOURCE[0]}")/.. python3 - "$@" <<'PYTHON'
import json, pathlib, random, sys
from worker_runs import make_model, row_of_length, write_rows

folder, steps, rows = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
model, draw = folder / "model", random.Random(1)
make_model(model)
write_rows(folder / "rows.jsonl", [row_of_length(draw.randrange(5, 49), draw) for _ in range(120)])
(folder / "recipe.yaml").write_text(json.dumps({
    "model": {"config": str(model / "config.json"), "tokenizer": str(model / "tokenizer.json")},
    "data": {"sources": [{"path": str(folder / "rows.jsonl")}], "sequence_length": 48, "append_eos": False},
    "training": {"steps": steps, "batch_rows": rows, "micro_batch_rows": 48, "precision": "fp32", "threads": 1}}))
PYTHON
}
