"""A SLURM cluster of one node on this machine, loopback only, thrown away after use.

Needs root and Debian's packages ``slurm-wlm`` and ``munge``. It enforces no limits (no cgroups),
keeps no accounts, and pretends to have more processors than there are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
# Where the programs look: a job step of Snakemake's drops SLURM_CONF.
CONFIGURATION = Path("/etc/slurm/slurm.conf")


def why_not() -> str:
    """Why a cluster cannot be started here; empty if it can."""
    if os.geteuid() != 0:
        return "a one-node SLURM needs root"
    missing = [p for p in PROGRAMS if shutil.which(p) is None]
    if missing:
        return f"{', '.join(missing)} not found (Debian packages slurm-wlm and munge)"
    if CONFIGURATION.exists() or CONFIGURATION.is_symlink():
        return f"{CONFIGURATION} exists: this machine has a SLURM of its own"
    return ""


class OneNodeSlurm:
    """The cluster, as a context manager.

    Parameters
    ----------
    folder : Path
        For state, logs and sockets. Not below a long path: a socket's name holds 107 characters.
    cpus : int
        Processors that the node pretends to have.
    """

    def __init__(self, folder: Path, cpus: int = 8):
        self.folder, self.cpus = folder, cpus
        self.processes: list[subprocess.Popen] = []

    def __enter__(self) -> OneNodeSlurm:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def jobs(self, *states: str) -> list[str]:
        """Numbers of the jobs in these states (of all that are not over, by default)."""
        wanted = ["--states", ",".join(states)] if states else []
        command = ["squeue", "--noheader", "--format", "%i", *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.split()

    def cancel(self, job: str) -> None:
        """End a job."""
        subprocess.run(["scancel", job], check=True)

    def _start(self) -> None:
        for name in ("state", "spool", "log", "run", "munge", "cgroup"):
            (self.folder / name).mkdir(parents=True)
        # munge insists on the ownership and modes of all that leads to its key and socket
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o700)
        key = self.folder / "munge" / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        socket = self.folder / "run" / "munge.socket"
        self._run(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket}",
            f"--pid-file={self.folder}/run/munged.pid", f"--log-file={self.folder}/log/munged.log",
            f"--seed-file={self.folder}/munge/munged.seed",
        )  # fmt: skip
        self._wait(socket.exists, "munged")
        self._configure(socket)
        CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
        CONFIGURATION.symlink_to(self.folder / "slurm.conf")
        self._run("slurmctld", "-D", "-i")
        self._run("slurmd", "-D", "-N", _node())
        self._wait(self._idle, "slurmd")

    def _configure(self, socket: Path) -> None:
        """Write slurm.conf and cgroup.conf."""
        folder, node = self.folder, _node()
        version = subprocess.run(["slurmctld", "-V"], capture_output=True, text=True, check=True)
        major, minor = version.stdout.split()[-1].split(".")[:2]
        # slurmd loads a cgroup plugin all the same: from 23.11 on it can be switched off, before
        # that it is content with an empty folder
        cgroup = "CgroupPlugin=disabled\n"
        if (int(major), int(minor)) < (23, 11):
            cgroup = (
                f"CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nCgroupMountpoint={folder}/cgroup\n"
            )
        (folder / "cgroup.conf").write_text(cgroup)
        (folder / "slurm.conf").write_text(f"""\
ClusterName=onenode
SlurmctldHost={node}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={socket}
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=600
KillWait=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={node} NodeAddr=127.0.0.1 CPUs={self.cpus} Boards=1 SocketsPerBoard=1 \
CoresPerSocket={self.cpus} ThreadsPerCore=1 RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP
""")

    def _run(self, *command: str) -> None:
        log = (self.folder / "log" / f"{command[0]}.out").open("wb")
        environment = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self.processes.append(
            subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        )

    def _wait(self, ready, what: str) -> None:
        end = time.monotonic() + 60.0
        while not ready():
            if time.monotonic() > end:
                logs = [p.read_text(errors="replace")[-2000:] for p in self.folder.glob("log/*")]
                raise RuntimeError(f"{what} did not come up:\n" + "\n".join(logs))
            time.sleep(0.2)

    def _idle(self) -> bool:
        command = ["sinfo", "--noheader", "--format", "%T"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.startswith("idle")

    def _stop(self) -> None:
        if CONFIGURATION.is_symlink() and CONFIGURATION.readlink().parent == self.folder:
            subprocess.run(["scancel", "--user=root"], capture_output=True, check=False)
            CONFIGURATION.unlink()
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _node() -> str:
    return os.uname().nodename.split(".")[0]
