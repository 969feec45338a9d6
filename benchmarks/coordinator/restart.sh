#!/usr/bin/env bash
# How long a coordinator takes to its first answer after a restart, and how much memory it holds then, with a history
# of jobs that ended and jobs that wait.
#
# usage: benchmarks/coordinator/restart.sh [BUILD FOLDER] [ENDED JOBS] [WAITING JOBS] [ROUNDS]    (build/release, 100000, 20000, 3)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:-$root/build/release} ended=${2:-100000} waiting=${3:-20000} rounds=${4:-3}
tanren=$build/coordinator/client/tanren
folder=$(mktemp -d "${TMPDIR:-/tmp}/tanren-restart.XXXXXX")
coordinator=''
end_all() {
  [[ -z $coordinator ]] || kill "$coordinator" 2>/dev/null || true
  rm -rf "$folder"
}
trap end_all EXIT
"$build/benchmarks/coordinator/history_filler" "$folder/state" --ended "$ended" --waiting "$waiting"
du -h "$folder/state/history.db" | cut -f 1
for ((round = 1; round <= rounds; ++round)); do
  rm -f "$folder/state/endpoint"
  start=$EPOCHREALTIME
  "$build/coordinator/server/tanren-coordinator" --state "$folder/state" --listen 127.0.0.1:0 --metrics '' \
    >"$folder/log" 2>&1 &
  coordinator=$!
  until [[ -s $folder/state/endpoint ]]; do sleep 0.01; done
  "$tanren" --coordinator "$(<"$folder/state/endpoint")" --token-file "$folder/state/admin.token" status >"$folder/status"
  end=$EPOCHREALTIME
  awk -v a="$start" -v b="$end" -v kb="$(awk '/^VmRSS/ {print $2}' "/proc/$coordinator/status")" \
    'BEGIN {printf "first answer after %.2f s, %.0f MB resident\n", b - a, kb / 1024}'
  kill "$coordinator"
  wait "$coordinator" || true
  coordinator=''
done
