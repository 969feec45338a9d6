#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: builds the worker (no gRPC), the CUDA module and the tests that need
# a GPU, and runs them, all within ten minutes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../../deploy/progress.sh
source "$root/deploy/progress.sh"

usage() {
  cat <<'TEXT'
usage: tests/device/check.sh [--no-install] [--plan]

  --no-install  don't look whether packages and wheels are missing
  --plan        say what would be run, and run nothing
  --help        this text

The exit status is 0 if all tests passed, 3 if there is no GPU here, and 1 otherwise.
TEXT
}

install=true
plan=false
while (($# > 0)); do
  case $1 in
    --no-install) install=false ;;
    --plan) plan=true ;;
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

build=$root/build/device
limit_s=600

# run COMMAND...: within what is left of the time; a plan only shows it.
run() {
  if $plan; then
    say "$*"
    return
  fi
  local left=$((limit_s - SECONDS))
  ((left > 0)) || die "the ten minutes are over before: $*"
  timeout --kill-after=10 "$left" "$@" </dev/null || die "ended with $?: $*"
}

if ! $plan; then
  if ! command -v nvidia-smi >/dev/null || ! nvidia-smi --list-gpus 2>/dev/null | grep -q '^GPU'; then
    printf 'error: there is no NVIDIA GPU here, or its driver does not answer\n' >&2
    exit 3
  fi
  nvidia-smi --list-gpus
fi
if $install; then run "$root/deploy/install.sh" --cuda; fi
run cmake --preset worker-only -S "$root" -B "$build" -DTANREN_BUILD_TESTS=ON
run ninja -C "$build" -j "$(build_jobs)" tanren_cuda device_test tanren-worker
run ctest --test-dir "$build" -L '^device$' --no-tests=error --output-on-failure
$plan || say "device: passed in $(duration "$SECONDS")"
