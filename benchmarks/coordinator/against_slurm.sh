#!/usr/bin/env bash
# The coordinator beside a real Slurm on this machine, in one run: how many jobs a second each acknowledges, from one
# process for each submission and, for the coordinator, from connections that stay; and how many one-rank jobs of
# /bin/true live a whole life. Needs root, Debian's slurm-wlm and munge (deploy/install.sh --slurm), and a build.
#
# usage: benchmarks/coordinator/against_slurm.sh [BUILD FOLDER] [ROUNDS] [SECONDS]    (build/release, 3, 10)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../../tests/end_to_end/slurm/one_box.sh
source "$root/tests/end_to_end/slurm/one_box.sh"
build=${1:-$root/build/release} rounds=${2:-3} seconds=${3:-10}
clients=16 jobs=400
tanren=$build/coordinator/client/tanren
slurm_available || {
  echo "needs root, slurm-wlm and munge" >&2
  exit 1
}
folder=$(mktemp -d "${TMPDIR:-/tmp}/tanren-against-slurm.XXXXXX")
coordinator='' agent=''
end_all() {
  # shellcheck disable=SC2086  # none, one or two
  kill $coordinator $agent 2>/dev/null || true
  slurm_stop "$folder/slurm"
  rm -rf "$folder"
}
trap end_all EXIT
mkdir -p "$folder/slurm"
slurm_start "$folder/slurm"
"$build/coordinator/server/tanren-coordinator" --state "$folder/state" --listen 127.0.0.1:0 --allow-commands \
  --waiting-jobs 0 --waiting-jobs-of-user 0 \
  >"$folder/coordinator.log" 2>&1 &
coordinator=$!
until [[ -s $folder/state/endpoint && -s $folder/state/agent.token ]]; do sleep 0.1; done
address=$(<"$folder/state/endpoint")
export TANREN_COORDINATOR=$address TANREN_TOKEN_FILE=$folder/state/admin.token
"$build/coordinator/agent/tanren-agent" --coordinator "$address" --token-file "$folder/state/agent.token" \
  --state "$folder/agent" --cpus 32 --allow-root >"$folder/agent.log" 2>&1 &
agent=$!
until "$tanren" nodes | grep -q ' up '; do sleep 0.1; done

# rate COMMAND...: acknowledged a second, by `clients` loops of it.
rate() {
  local i end=$((SECONDS + seconds))
  for ((i = 0; i < clients; ++i)); do
    (
      count=0
      while ((SECONDS < end)); do
        "$@" >/dev/null
        count=$((count + 1))
      done
      echo "$count" >"$folder/count.$i"
    ) &
    loops[i]=$!
  done
  wait "${loops[@]}"
  cat "$folder"/count.* | awk -v s="$seconds" '{n += $1} END {printf "%.0f", n / s}'
}
life_in_slurm() {
  local start=$EPOCHREALTIME
  sbatch --parsable --array="1-$jobs" --ntasks=1 --output=/dev/null --wrap=/bin/true >/dev/null
  while [[ -n $(squeue --noheader --states=all --format=%T --array | grep -vE 'COMPLETED|CANCELLED' | head -n 1) ]]; do sleep 0.2; done
  awk -v n="$jobs" -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.0f", n / (b - a)}'
}
life_here() {
  local start=$EPOCHREALTIME
  "$tanren" run --array "$jobs" --folder "$folder/runs" --wait -- /bin/true >/dev/null
  awk -v n="$jobs" -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.0f", n / (b - a)}'
}

loops=()
printf 'round\tSlurm: submits/s\ttanren: submits/s\tof 16 connections\tSlurm: lives/s\ttanren: lives/s\n'
for ((round = 1; round <= rounds; ++round)); do
  slurm_submits=$(rate sbatch --hold --output=/dev/null --wrap=/bin/true)
  scancel --user="$(id -un)" || true
  submits=$(rate "$tanren" run --hold -- /bin/true)
  connections=$("$build/benchmarks/coordinator/coordinator_load" submit --coordinator "$address" \
    --token-file "$TANREN_TOKEN_FILE" --clients "$clients" --seconds "$seconds" | tail -n 1)
  slurm_lives=$(life_in_slurm)
  lives=$(life_here)
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$round" "$slurm_submits" "$submits" "$connections" "$slurm_lives" "$lives"
done
