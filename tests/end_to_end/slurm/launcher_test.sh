#!/usr/bin/env bash
# The Slurm launcher on a real Slurm of four nodes: launcher_test.sh PROGRAM [ARGUMENT…], where PROGRAM is built
# from tests/coordinator/launch/slurm/real_slurm_test.cc. Exits with 77 (skipped) where there is no Slurm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=jobs.sh
source "$here/jobs.sh"
program=${1:?"which program?"}
shift
slurm_test_begin
# shellcheck disable=SC2154  # slurm_test_begin sets it
export TANREN_SLURM_TEST_FOLDER=$folder
"$program" "$@"
