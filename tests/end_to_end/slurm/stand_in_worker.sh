#!/usr/bin/env bash
# Behaves to a batch script as the worker does, without training: counts steps, saves at USR1 and exits
# with 75 ("resume me"), and goes on from what was saved. The tests of train.sbatch run it.
#
#   stand_in_worker.sh train STEPS --run FOLDER [--fail]     STEPS stands in for the recipe
#   stand_in_worker.sh resume FOLDER
#
# Steps take 0.1 s. Where STAND_IN_WAITS is "yes", or the number of this task of an array, the first turn stays before
# its last step until it is told to save. The folder gets: rank-<r>-<turn> (the node, and the GPUs that the rank may
# see), stepped-<r>-<turn> after its first step, steps (the goal), saved (the step reached), done.
set -euo pipefail

rank=${OMPI_COMM_WORLD_RANK:?"is not run by mpirun"}
verb=$1
if [[ $verb == train ]]; then
  steps=$2 run=$4 step=0
  if [[ ${5:-} == --fail ]]; then exit 3; fi
  echo "$steps" >"$run/steps.$rank"
  mv "$run/steps.$rank" "$run/steps"
else
  run=$2
  steps=$(<"$run/steps")
  step=$(<"$run/saved")
fi

save_and_exit() {
  if ((rank == 0)); then
    echo "$step" >"$run/saved.partial"
    mv "$run/saved.partial" "$run/saved"
    touch "$run/saved-in-turn-${SLURM_RESTART_COUNT:-0}"
  fi
  # mpirun ends the others when one exits with an error, so all wait for the save, as a collective would.
  while [[ ! -e $run/saved-in-turn-${SLURM_RESTART_COUNT:-0} ]]; do sleep 0.05; done
  exit 75
}
trap save_and_exit USR1

echo "${SLURMD_NODENAME:-?} ${CUDA_VISIBLE_DEVICES:-none} from step $step of ${OMPI_COMM_WORLD_SIZE:?}" \
  >"$run/rank-$rank-${SLURM_RESTART_COUNT:-0}"
waits=false
case ${STAND_IN_WAITS:-} in
  yes | "${SLURM_ARRAY_TASK_ID:-no array}") ((${SLURM_RESTART_COUNT:-0} > 0)) || waits=true ;;
esac
while ((step < steps)); do
  sleep 0.1
  if ! $waits || ((step + 1 < steps)); then step=$((step + 1)); fi
  : >"$run/stepped-$rank-${SLURM_RESTART_COUNT:-0}"
done
if ((rank == 0)); then echo "$step" >"$run/done"; fi
