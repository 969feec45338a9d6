#!/usr/bin/env bash
# Builds everything and runs all checks and tests, from a fresh clone as well. The last line is
# "N passed, N failed", and the exit status is 0 only if nothing failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=progress.sh
source "$root/deploy/progress.sh"
cd "$root"

usage() {
  cat <<'TEXT'
usage: deploy/test.sh [--quick] [--preset NAME] [--no-install] [CTEST ARGUMENT...]

  --quick        without the tests labelled "slow"
  --preset NAME  one of CMakePresets.json (default: release), for example asan
  --no-install   don't look whether packages are missing
  --help         this text

Other arguments go to ctest: `deploy/test.sh -R tokenizer`.
TEXT
}

quick=false
preset=release
install=true
ctest_arguments=()
while (($# > 0)); do
  case $1 in
    --quick) quick=true ;;
    --preset)
      (($# > 1)) || die "--preset needs a name"
      preset=$2
      shift
      ;;
    --no-install) install=false ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) ctest_arguments+=("$1") ;;
  esac
  shift
done

build=$root/build/$preset
passed=0
failed=0
summary=()
begun=$SECONDS

# check NAME COMMAND...: counts as one test; its failure doesn't keep the others from running.
check() {
  local name=$1 start=$SECONDS
  shift
  say "== $name"
  if "$@" </dev/null; then
    passed=$((passed + 1))
    summary+=("ok      $name, $(duration $((SECONDS - start)))")
  else
    failed=$((failed + 1))
    summary+=("FAILED  $name, $(duration $((SECONDS - start)))")
  fi
}

finish() {
  say "== Summary, $(duration $((SECONDS - begun))) in all"
  if ((${#summary[@]} > 0)); then printf '  %s\n' "${summary[@]}"; fi
  say "$passed passed, $failed failed"
  if ((failed > 0 || passed == 0)); then exit 1; fi
}

# Nothing can be tested after a failed stage: it counts as a failure, and the run ends.
stage() {
  local name=$1 start=$SECONDS
  shift
  say "== $name"
  if ! "$@" </dev/null; then
    failed=$((failed + 1))
    summary+=("FAILED  $name, $(duration $((SECONDS - start)))")
    finish
  fi
  summary+=("ok      $name, $(duration $((SECONDS - start)))")
}

# Ninja's lines, but one in fifty where nobody watches; compiler messages always.
build_all() {
  local jobs
  jobs=$(build_jobs)
  say "$jobs jobs"
  if [[ -t 1 ]]; then
    ninja -C "$build" -j "$jobs"
  else
    ninja -C "$build" -j "$jobs" | awk '!/^\[[0-9]+\/[0-9]+\]/ || ++n % 50 == 1 || /FAILED/ {print; fflush()}'
  fi
}

configure() {
  run_logged "$build-configure.log" cmake --preset "$preset" || return
  grep -E '^-- (libtorch|CUDA|NCCL)|[Ww]arning' "$build-configure.log" || true
}

# tests NAME JOBS CTEST-ARGUMENT...: runs some of the tests and adds up what ctest reports. Finding
# none is right for a group that a filter leaves empty; that none ran at all is caught at the end.
tests() {
  local name=$1 jobs=$2 start=$SECONDS status=0 log
  shift 2
  say "== $name"
  log=$(mktemp "${TMPDIR:-/tmp}/tanren-ctest.XXXXXX")
  ctest --test-dir "$build" --output-on-failure --no-tests=ignore -j "$jobs" "$@" \
    "${ctest_arguments[@]}" </dev/null 2>&1 | tee "$log" || status=$?
  local total bad
  bad=$(sed -n 's/.*tests passed, \([0-9]*\) tests\{0,1\} failed out of .*/\1/p' "$log")
  total=$(sed -n 's/.*tests passed, .* failed out of \([0-9]*\).*/\1/p' "$log")
  bad=${bad:-0} total=${total:-0}
  rm -f "$log"
  if ((status != 0 && bad == 0)); then bad=1 total=$((total + 1)); fi
  passed=$((passed + total - bad))
  failed=$((failed + bad))
  summary+=("$( ((bad == 0)) && echo 'ok    ' || echo FAILED)  $name: $((total - bad)) of $total, $(duration $((SECONDS - start)))")
}

if $install; then stage "Install" deploy/install.sh --with-coordinator; fi
mkdir -p "$root/build"
stage "Configure ($preset)" configure
stage "Build, warnings are errors" build_all

check "Layering: the check finds what climbs" python3 deploy/check_layering_test.py
check "Layering" deploy/check_layering.py
check "Format" deploy/check_format.sh
check "Paths" deploy/check_paths.sh

slow=()
if $quick; then slow=('|^slow$'); fi
serial='^(mpi|end_to_end|faults|slurm|serial)$'
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# A stack that isn't remembered can't be told from those that tests/thread_sanitizer.supp names.
TSAN_OPTIONS="suppressions=$root/tests/thread_sanitizer.supp ignore_noninstrumented_modules=1 history_size=7 ${TSAN_OPTIONS-}"
export TSAN_OPTIONS
tests "Unit tests" "$(build_jobs)" -LE "$serial${slow[*]}"
leave_out="^slurm\$${slow[*]}"
tests "Tests under mpirun, end to end, of faults" 2 -L '^(mpi|end_to_end|faults|serial)$' -LE "$leave_out"
if command -v slurmctld >/dev/null && command -v munged >/dev/null; then
  tests "Tests under Slurm" 2 -L '^slurm$' -LE "^never\$${slow[*]}"
else
  say "== Tests under Slurm: left out, for there is no Slurm here (deploy/install.sh --slurm)"
  summary+=("left out  tests under Slurm: deploy/install.sh --slurm")
fi
finish
