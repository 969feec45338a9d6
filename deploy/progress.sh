# shellcheck shell=bash
# What the scripts in this folder tell a person; sourced, not run.

# Where deploy/install.sh puts what comes from wheels; CMake looks in the same place.
tanren_cache() {
  if [[ -n ${TANREN_CACHE:-} ]]; then
    echo "$TANREN_CACHE"
  elif [[ -n ${XDG_CACHE_HOME:-} ]]; then
    echo "$XDG_CACHE_HOME/tanren"
  else
    echo "${HOME:?HOME is not set: set it, or TANREN_CACHE}/.cache/tanren"
  fi
}

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# A span of $1 seconds for people: 7 s, 3 min 05 s.
duration() {
  if (($1 < 60)); then printf '%d s' "$1"; else printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); fi
}

# How many compilers to run at once: one for each core that we may use, and 2 GB of memory for each.
build_jobs() {
  local cores available_kb
  cores=$(nproc)
  available_kb=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
  local by_memory=$((available_kb / 2000000))
  if ((by_memory < 1)); then by_memory=1; fi
  echo $((cores < by_memory ? cores : by_memory))
}

# run_logged LOG COMMAND...: the command's output goes to LOG; its end is shown if it fails.
run_logged() {
  local log=$1 status=0
  shift
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status != 0)); then
    tail -n 40 "$log" >&2
    printf 'error: %s ended with %d; all of its output: %s\n' "$1" "$status" "$log" >&2
  fi
  return "$status"
}
