#!/usr/bin/env bash
# A Slurm of one machine from Debian's packages, for tests/test_grid.py: sudo bash tests/slurm.sh
# It writes /etc/slurm/slurm.conf (jobs do not inherit SLURM_CONF), so not on a machine that has a Slurm of its own.
set -euo pipefail
if [ -e /etc/slurm/slurm.conf ] && ! grep -q "made by ndaug" /etc/slurm/slurm.conf; then
    echo "/etc/slurm/slurm.conf is not ours: this machine has a Slurm already" >&2; exit 1
fi
command -v slurmctld > /dev/null || { apt-get update -q; DEBIAN_FRONTEND=noninteractive apt-get install -y -q slurm-wlm munge; }
mkdir -p /run/munge /var/spool/slurmctld /var/spool/slurmd /var/log/slurm /etc/slurm
chown munge: /run/munge
pgrep -x munged > /dev/null || runuser -u munge -- munged
host=$(hostname)
cat > /etc/slurm/slurm.conf <<CONF
# made by ndaug's tests/slurm.sh
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(($(free -m | awk '/^Mem:/ {print $2}')*8/10)) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
pgrep -x slurmctld > /dev/null || slurmctld
pgrep -x slurmd > /dev/null || slurmd
for _ in $(seq 30); do
    if sinfo -h -o %T 2> /dev/null | grep -qE "idle|mixed|alloc"; then sinfo; exit 0; fi
    sleep 1
done
echo "Slurm did not come up, see /var/log/slurm" >&2; exit 1
