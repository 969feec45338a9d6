#!/usr/bin/env bash
# Checks that every tracked C++ and CUDA file is as clang-format 14 (Debian 12's) writes it; warns
# about long files. usage: deploy/check_format.sh [--fix]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=(--dry-run -Werror)
if [[ ${1:-} == --fix ]]; then mode=(-i); fi

version=$(clang-format --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
if [[ $version != 14 ]]; then
  echo "error: clang-format 14 decides the format (Debian 12's package clang-format); found: $version" >&2
  exit 1
fi

# Without git (an unpacked archive), all files of the source folders are looked at.
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  mapfile -t files < <(git ls-files '*.h' '*.cc' '*.cu' '*.cuh')
else
  mapfile -t files < <(find proto runtime parallel trainer coordinator tests benchmarks \
    -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh')
fi
existing=()
for file in "${files[@]}"; do if [[ -f $file ]]; then existing+=("$file"); fi; done
if ((${#existing[@]} == 0)); then
  echo "error: no C++ files found" >&2
  exit 1
fi

status=0
printf '%s\0' "${existing[@]}" | xargs -0 -n 16 -P "$(nproc)" clang-format --style=file "${mode[@]}" || status=1

for file in "${existing[@]}"; do
  lines=$(wc -l <"$file")
  if ((lines > 400)); then echo "warning: $file has $lines lines: is it two ideas?"; fi
done
if ((status != 0)); then echo "format: run deploy/check_format.sh --fix" >&2; fi
echo "format: ${#existing[@]} files looked at"
exit "$status"
