#!/usr/bin/env bash
# Passes the tests: installs what is missing, builds everything with warnings as errors, checks the
# layering and runs the test suite. Further arguments go to ctest (for example -R Philox).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=progress.sh
source "$root/deploy/progress.sh"
cd "$root"
start=$SECONDS

say "[1/4] install"
deploy/install.sh
say "[2/4] build"
cmake --preset release
cmake --build --preset release -j "$(build_jobs)"
say "[3/4] checks"
if [[ -f deploy/check_layering.py ]]; then python3 deploy/check_layering.py; fi
git ls-files -z '*.h' '*.cc' '*.cu' | xargs -0r clang-format --dry-run -Werror
say "[4/4] tests"
ctest --test-dir build/release --output-on-failure --no-tests=error "$@"
say "All of it took $(duration $((SECONDS - start)))"
