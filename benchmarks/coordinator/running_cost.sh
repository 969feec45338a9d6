#!/usr/bin/env bash
# What a running job costs beside itself: the processor time of coordinator, agent and the agent's own helpers while
# jobs run that do nothing, and while one trains and reports its steps.
#
# usage: benchmarks/coordinator/running_cost.sh [BUILD FOLDER] [SECONDS] [WORKER]    (build/release, 30, the build's tanren-worker)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(realpath "${1:-$root/build/release}") seconds=${2:-30}
worker=$(realpath -m "${3:-$build/trainer/tanren-worker}")
tanren=$build/coordinator/client/tanren
folder=$(mktemp -d "${TMPDIR:-/tmp}/tanren-running-cost.XXXXXX")
coordinator='' agent=''
end_all() {
  # shellcheck disable=SC2086  # none, one or two
  kill $coordinator $agent 2>/dev/null || true
  # shellcheck disable=SC2086
  wait $coordinator $agent 2>/dev/null || true
  rm -rf "$folder"
}
trap end_all EXIT
export TANREN_TOKEN_FILE=$folder/state/admin.token

"$build/coordinator/server/tanren-coordinator" --state "$folder/state" --listen 127.0.0.1:0 --metrics '' --allow-commands \
  >"$folder/coordinator.log" 2>&1 &
coordinator=$!
until [[ -s $folder/state/endpoint && -s $folder/state/agent.token ]]; do sleep 0.1; done
TANREN_COORDINATOR=$(<"$folder/state/endpoint")
export TANREN_COORDINATOR
"$build/coordinator/agent/tanren-agent" --coordinator "$TANREN_COORDINATOR" --token-file "$folder/state/agent.token" \
  --state "$folder/agent" --cpus 64 --allow-root --worker "$worker" >"$folder/agent.log" 2>&1 &
agent=$!
until "$tanren" nodes | grep -q ' up '; do sleep 0.1; done

# The processes that PID stands above, itself among them, but not what jobs run.
ours() {
  local child name
  name=$(cat "/proc/$1/comm" 2>/dev/null) || return 0
  [[ $name == sleep || $name == tanren-worker ]] && return 0
  echo "$1"
  # shellcheck disable=SC2013  # numbers in one line
  for child in $(cat "/proc/$1"/task/*/children 2>/dev/null); do ours "$child"; done
}
# Each thread of the processes, and the nanoseconds that it has run for so far.
threads() {
  # shellcheck disable=SC2046  # patterns
  grep -H '' $(printf '/proc/%s/task/*/schedstat ' "$@") 2>/dev/null | sed 's/:/ /' | cut -d ' ' -f 1,2 || true
}
# ran BEFORE AFTER: the difference of two such lists, but for threads that have ended.
ran() { awk 'NR == FNR {before[$1] = $2; next} {ns += $2 - before[$1]} END {printf "%.0f", ns}' "$1" "$2"; }
# measure JOBS NAME
measure() {
  local processes
  sleep 3
  mapfile -t processes < <(ours "$agent")
  threads "$coordinator" >"$folder/c.before"
  threads "${processes[@]}" >"$folder/a.before"
  sleep "$seconds"
  threads "$coordinator" >"$folder/c.after"
  threads "${processes[@]}" >"$folder/a.after"
  awk -v name="$2" -v n="$1" -v s="$seconds" -v c="$(ran "$folder"/c.{before,after})" -v a="$(ran "$folder"/a.{before,after})" 'BEGIN {
    printf "%s\t%.2f\t%.2f\t%s\n", name, c / s / 1e7, a / s / 1e7, n == 0 ? "-" : sprintf("%.2f", (a + c) / s / 1e7 / n)}'
}

printf 'jobs\tcoordinator, %% of a core\tagent, %% of a core\ttogether, for each job\n'
measure 0 'none'
for count in 1 8 32; do
  "$tanren" run --array "$count" --cpus 0.1 --folder "$folder/runs" -- /bin/sleep 100000 >"$folder/submitted"
  until (($("$tanren" jobs --limit 1000 | grep -c ' running ') == count)); do sleep 0.2; done
  measure "$count" "$count × sleep"
  "$tanren" jobs --limit 1000 | awk '/ running / {print $1}' | xargs "$tanren" cancel >"$folder/cancelled"
  until ! "$tanren" jobs --limit 1000 | grep -qE ' (running|stopping|placed|starting) '; do sleep 0.2; done
done

# A small model's training, a few steps a second.
if [[ -x $worker ]]; then
  PYTHONPATH=$root/tests/end_to_end python3 - "$folder" <<'EOF'
import json, pathlib, random, sys
import worker_runs as made
home = pathlib.Path(sys.argv[1])
made.make_model(home / "model")
draw = random.Random(1)
made.write_rows(home / "rows.jsonl", [made.row_of_length(draw.randrange(5, 49), draw) for _ in range(200)])
model = {"config": "config.json", "tokenizer": "tokenizer.json", "chat_template": "chat_template.jinja"}
recipe = {"name": "small", "model": {key: str(home / "model" / name) for key, name in model.items()},
          "data": {"sources": [{"path": str(home / "rows.jsonl")}], "sequence_length": 48, "append_eos": False},
          "training": {"steps": 1000000, "batch_rows": 256, "micro_batch_rows": 16, "precision": "fp32", "threads": 1}}
(home / "small.yaml").write_text(json.dumps(recipe))
EOF
  steps() { "$tanren" jobs --limit 1 | grep -oE '[0-9]+/1000000' | cut -d / -f 1; }
  "$tanren" submit "$folder/small.yaml" --folder "$folder/runs" >"$folder/submitted"
  until [[ -n $(steps) ]]; do
    if "$tanren" jobs --limit 1 | grep -qE ' (failed|cancelled) '; then
      "$tanren" explain "$("$tanren" jobs --limit 1 | awk '/small/ {print $1}')" >&2
      exit 1
    fi
    sleep 0.2
  done
  before=$(steps) began=$EPOCHREALTIME
  measure 1 'one training' >"$folder/row"
  rate=$(awk -v n="$(($(steps) - before))" -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", n / (b - a)}')
  sed "s/one training/one training, $rate steps a second/" "$folder/row"
fi
