# shellcheck shell=bash
# A real Slurm of four "nodes" on this machine, for tests: sourced, not run. Needs root and Debian's slurm-wlm and
# munge. Everything is in one folder with ports of its own, so a cluster's Slurm on this machine is not
# touched.
#
#   slurm_start FOLDER    exports SLURM_CONF; returns once all nodes are idle
#   slurm_stop FOLDER     ends the daemons by their pid files; safe to call twice

slurm_available() {
  ((EUID == 0)) && command -v slurmctld slurmd munged sbatch >/dev/null
}

# Ports that are free now: one for the controller and four in a row for the nodes. Two tests that look at the same
# time begin at different places.
slurm_free_ports() {
  python3 - "$$" <<'PYTHON'
import socket, sys
def free(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False
blocks = 2400
for block in range(int(sys.argv[1]), int(sys.argv[1]) + blocks):
    first = 20000 + 5 * (block % blocks)
    if all(free(first + i) for i in range(5)):
        print(first)
        break
PYTHON
}

slurm_write_configuration() {
  local folder=$1 port host
  port=$(slurm_free_ports)
  host=$(hostname)
  cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
AuthType=auth/munge
AuthInfo=socket=$folder/munge/sock,cred_expire=5
SlurmUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=30
MinJobAge=3600
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=1
SlurmdParameters=config_overrides
GresTypes=gpu
MaxJobCount=200000
MaxArraySize=2000
NodeName=t[1-4] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 4))] CPUs=8 RealMemory=2000 Gres=gpu:2
PartitionName=test Nodes=ALL Default=YES MaxTime=10:00 State=UP
CONF
  # Fake GPUs: device files, for Slurm names them in CUDA_VISIBLE_DEVICES.
  mknod "$folder/gpu0" c 1 3
  mknod "$folder/gpu1" c 1 3
  echo "NodeName=t[1-4] Name=gpu File=$folder/gpu[0-1]" >"$folder/gres.conf"
}

slurm_start() {
  local folder=$1 node
  mkdir -p "$folder"/{munge,state,spool/t1,spool/t2,spool/t3,spool/t4}
  # Its socket is for all users.
  chmod 711 "$folder/munge"
  head -c 128 /dev/urandom >"$folder/munge/key"
  chmod 400 "$folder/munge/key"
  slurm_write_configuration "$folder"
  export SLURM_CONF=$folder/slurm.conf
  munged --key-file="$folder/munge/key" --socket="$folder/munge/sock" \
    --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" \
    --seed-file="$folder/munge/seed" --force
  slurmctld -f "$SLURM_CONF" -i
  for node in t1 t2 t3 t4; do slurmd -f "$SLURM_CONF" -N "$node"; done
  for _ in $(seq 900); do
    if [[ $(timeout 60 sinfo -h -t idle -o %D) == 4 ]]; then return; fi
    sleep 0.2
  done
  timeout 60 sinfo -N -l >&2 || true
  tail -n 20 "$folder"/*.log >&2
  echo "one-box Slurm: its nodes did not become idle in 180 s" >&2
  return 1
}

# Of a test that failed, some run: their steps would outlive the daemons.
slurm_end_jobs() {
  timeout 10 scancel --partition=test
  for _ in $(seq 100); do
    if [[ -z $(timeout 10 squeue --noheader) ]]; then return; fi
    sleep 0.1
  done
}

slurm_stop() {
  local folder=$1 file pid
  if [[ -s $folder/slurmctld.pid ]]; then SLURM_CONF=$folder/slurm.conf slurm_end_jobs || true; fi
  for file in "$folder"/slurmd-*.pid "$folder/slurmctld.pid" "$folder/munge/pid"; do
    [[ -s $file ]] || continue
    pid=$(<"$file")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$file"
  done
}
