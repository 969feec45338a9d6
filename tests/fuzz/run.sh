#!/usr/bin/env bash
# Runs the fuzz targets and keeps what they learn in tests/fuzz/corpus, which fuzz_corpus_test replays.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../../deploy/progress.sh
source "$root/deploy/progress.sh"
cd "$root"

usage() {
  cat <<'TEXT'
usage: tests/fuzz/run.sh [--seconds N] [--no-build] [TARGET...]

  --seconds N  how long each target runs (default: 60)
  --no-build   the programs in build/fuzz are those to run
  --help       this text

A target is the name of a file tests/fuzz/TARGET_fuzzer.cc; without one, all run, one after another. What
they find between runs stays in build/fuzz/work. An input that breaks a target ends that target's run and
is left in build/fuzz/found/TARGET: once the reader is mended, move it to tests/fuzz/crashes/TARGET.
Ends with 1 if there was one. Needs clang: deploy/install.sh --fuzz.
TEXT
}

seconds=60
build=true
targets=()
while (($# > 0)); do
  case $1 in
    --seconds)
      (($# > 1)) || die "--seconds needs a number"
      seconds=$2
      shift
      ;;
    --no-build) build=false ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*)
      usage >&2
      die "unknown option: $1"
      ;;
    *) targets+=("$1") ;;
  esac
  shift
done
if ((${#targets[@]} == 0)); then
  for file in tests/fuzz/*_fuzzer.cc; do targets+=("$(basename "$file" _fuzzer.cc)"); done
fi

# Of each target in the tree.
most_corpus_bytes=200000

# Files that are right, to start from.
golden_seeds() {
  local golden=tests/golden
  case $1 in
    safetensors) ls "$golden"/formats/*.safetensors ;;
    safetensors_index) ls "$golden"/formats/llama/*.index.json ;;
    gguf) ls "$golden"/formats/dtypes.gguf "$golden"/gguf/*.gguf ;;
    model_config) ls "$golden"/*/*/config.json ;;
    tokenizer_json) ls "$golden"/tokenizer/*.tokenizer.json ;;
    tokenizer_config) ls "$golden"/tokenizer_export/*/tokenizer_config.json ;;
    chat_template) ls "$golden"/chat_template/*.jinja ;;
    recipe) ls deploy/recipes/*.yaml ;;
    jsonl) ls "$golden"/chat_tokens/*.jsonl ;;
  esac
}

# How long inputs grow.
longest() {
  case $1 in
    tokenizer_json) echo 16384 ;;
    *) echo 4096 ;;
  esac
}

# The sources whose words a target is given as its dictionary.
sources_of_words() {
  case $1 in
    safetensors* | gguf* | model_config) ls runtime/formats/*.cc runtime/text/pretokenizer_names.cc ;;
    tokenizer_*) ls runtime/text/tokenizer_*.cc runtime/text/pretokenizer*.cc runtime/formats/model_files_text.cc ;;
    chat_template) ls runtime/text/jinja_*.cc ;;
    recipe*) ls proto/recipe.proto deploy/recipes/*.yaml ;;
    jsonl) ls trainer/data/example.cc runtime/text/chat_*.cc ;;
    checkpoint_*) ls parallel/checkpoint/{manifest,index}.cc ;;
    slurm_text) ls coordinator/launch/slurm/slurm_{client,end}.cc ;;
    client_settings) ls coordinator/client/settings_file.cc ;;
    *) ls runtime/telemetry/metrics_file.cc ;;
  esac
}

write_dictionary() {
  local files
  mapfile -t files < <(sources_of_words "$1")
  if [[ $1 == recipe* ]]; then
    grep -ohE '\b[a-z][a-z0-9_]{2,30}\b' "${files[@]}" | sort -u | sed 's/.*/"&"/'
  else
    grep -ohE '"[A-Za-z0-9_.:<>|%{}=+*/!-]{2,40}"' "${files[@]}" | sort -u
  fi
}

# number NAME LOG: a figure of libFuzzer's -print_final_stats; 0 where it didn't get to that.
number() { sed -n "s/^stat::$1: *//p" "$2" | tail -n 1 | grep . || echo 0; }

# Replaces the target's inputs in the tree by few that reach the same places, however often, the smallest
# first.
minimise() {
  local target=$1 fresh=$work/$1.merged kept=tests/fuzz/corpus/$1 bytes=0 size file
  rm -rf "$fresh"
  mkdir -p "$fresh" "$kept"
  "$programs/fuzz_$target" -merge=1 -set_cover_merge=1 -use_counters=0 -max_len="$(longest "$target")" -rss_limit_mb=1024 \
    -timeout=10 "$fresh" "$kept" "$work/$target" "$work/$target.seeds" >>"$work/$target.log" 2>&1 || return 0
  find "$kept" -type f -exec cp -n -t "$work/$target" {} +  # later runs start from all of them
  rm -f "$kept"/*
  while read -r size file; do
    bytes=$((bytes + size))
    if ((bytes > most_corpus_bytes)); then break; fi
    cp "$file" "$kept"
  done < <(find "$fresh" -type f -printf '%s %p\n' | sort -n)
  rm -rf "$fresh"
}

programs=build/fuzz/tests/fuzz
work=build/fuzz/work
found=build/fuzz/found
if $build; then
  mkdir -p build
  cmake --preset fuzz >build/fuzz-configure.log || die "see build/fuzz-configure.log; deploy/install.sh --fuzz gets clang"
  cmake --build --preset fuzz --parallel "$(build_jobs)"
fi

# Little of what was freed is kept, so that the limit on memory is one on what is used.
export ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=10${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export UBSAN_OPTIONS=print_stacktrace=1
if symbolizer=$(command -v llvm-symbolizer-16 || command -v addr2line); then
  export ASAN_SYMBOLIZER_PATH=$symbolizer
fi
broken=0
rows=()
for target in "${targets[@]}"; do
  [[ -x $programs/fuzz_$target ]] || die "no program $programs/fuzz_$target: is \"$target\" a target?"
  rm -rf "$work/$target.seeds"
  mkdir -p "$work/$target" "$work/$target.seeds" "$found/$target" "tests/fuzz/corpus/$target"
  mapfile -t seeds < <(golden_seeds "$target")
  if ((${#seeds[@]} > 0)); then cp --backup=numbered "${seeds[@]}" "$work/$target.seeds"; fi
  write_dictionary "$target" >"$work/$target.dict"
  say "$target: $seconds s"
  log=$work/$target.log
  status=0
  "$programs/fuzz_$target" -max_total_time="$seconds" -max_len="$(longest "$target")" -rss_limit_mb=1024 \
    -malloc_limit_mb=512 -timeout=10 -print_final_stats=1 -dict="$work/$target.dict" \
    -artifact_prefix="$found/$target/" "$work/$target" "tests/fuzz/corpus/$target" "$work/$target.seeds" \
    >"$log" 2>&1 </dev/null || status=$?
  executions=$(number number_of_executed_units "$log")
  coverage=$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
  outcome=none
  if ((status != 0)); then
    broken=$((broken + 1))
    outcome=$(sed -n 's/^SUMMARY: //p' "$log" | head -n 1 | cut -c 1-60)
    outcome=${outcome:-ended with $status}
    cp "$log" "$found/$target/last.log"
  else
    minimise "$target"
  fi
  rows+=("$target"$'\t'"$executions"$'\t'"${coverage:-0}"$'\t'"$(number peak_rss_mb "$log")"$'\t'"$outcome")
  printf '%s\t%s\t%s\t%s\n' "$(date +%FT%T)" "$target" "$seconds" "$executions" >>"$work/history.tsv"
done

printf 'target\texecutions\tcoverage\tMB\tbroken\n%s\n' "$(printf '%s\n' "${rows[@]}")" | column -t -s $'\t'
((broken == 0))
