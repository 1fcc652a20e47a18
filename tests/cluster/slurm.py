"""A real Slurm of two nodes on this machine, without a database, for as long as tests need it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

RUN = Path("/var/tmp/lightmask-slurm")  # always the same, so that daemons left by a killed run are found
CONF = Path("/etc/slurm/slurm.conf")  # a path in SLURM_CONF does not reach the steps of jobs
OURS = "# Made by the tests of lightmask.\n"
NODES = ("n1", "n2")


def why_not() -> str:
    """Say why there can be no cluster here; empty if there can."""
    lacking = [name for name in ("slurmctld", "slurmd", "munged", "sbatch", "srun") if not shutil.which(name)]
    if lacking:
        return f"Slurm is not installed: no {', '.join(lacking)}"
    if os.geteuid() != 0:
        return "the daemons of Slurm need root"
    if CONF.exists() and not CONF.read_text().startswith(OURS):
        return f"{CONF} is another cluster's"
    return ""


def wait_for(condition, seconds, what):
    """Wait until a condition holds; fail after some time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return found


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout


def is_running(pid, name=""):
    """Return whether a process lives, which must be of that name, since numbers are used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    found, state = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2]
    return state != "Z" and found.startswith(name)


def processes():
    """List number, command line and environment of the processes of this machine."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours to see
            title = (process / "cmdline").read_bytes().decode(errors="replace")
            environment = (process / "environ").read_bytes().decode(errors="replace")
            yield int(process.name), title, environment.split("\0")


class Slurm:
    """The daemons, and what can happen to them."""

    def __init__(self):
        self.munged = None

    def start(self):
        """Start all daemons, after ending those that an earlier run left."""
        self.stop()
        for folder in ("state", *(f"spool/{node}" for node in NODES)):
            (RUN / folder).mkdir(parents=True)
        CONF.parent.mkdir(parents=True, exist_ok=True)
        CONF.write_text(self.configuration())
        self.start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_until_idle()

    def stop(self):
        """End everything, whatever its state."""
        if CONF.exists() and self.is_up():
            output_of("scancel", "--user", "root")
            time.sleep(1)
        for node in NODES:
            self.kill_node(node)
        self.kill_controller()
        if self.munged:
            self.munged.terminate()
            self.munged.wait(10)
            self.munged = None
        shutil.rmtree(RUN, ignore_errors=True)
        if CONF.exists() and CONF.read_text().startswith(OURS):
            CONF.unlink()

    @staticmethod
    def configuration():
        host = socket.gethostname()
        return f"""{OURS}ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation={RUN}/state
SlurmdSpoolDir={RUN}/spool/%n
SlurmctldPidFile={RUN}/slurmctld.pid
SlurmdPidFile={RUN}/slurmd.%n.pid
SlurmctldLogFile={RUN}/slurmctld.log
SlurmdLogFile={RUN}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
EnforcePartLimits=ALL
MinJobAge=3600
SlurmdTimeout=5
KillWait=5
SlurmdParameters=config_overrides
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[16821-16822] CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

    def start_munge(self):
        """Start munged, unless one answers."""
        if subprocess.run("munge -n | unmunge", shell=True, capture_output=True, check=False).returncode == 0:
            return
        user = pwd.getpwnam("munge")
        Path("/run/munge").mkdir(exist_ok=True)
        os.chown("/run/munge", user.pw_uid, user.pw_gid)
        command = ["munged", "--foreground", "--force"]
        self.munged = subprocess.Popen(command, user=user.pw_uid, group=user.pw_gid, stderr=subprocess.DEVNULL)
        wait_for(lambda: Path("/run/munge/munge.socket.2").exists(), 20, "munged")

    def start_controller(self):
        subprocess.run(["slurmctld"], check=True, timeout=30)
        wait_for(self.is_up, 30, "slurmctld")

    def start_node(self, node):
        subprocess.run(["slurmd", "-N", node], check=True, timeout=30)

    @staticmethod
    def is_up():
        return "is UP" in output_of("scontrol", "ping")

    @staticmethod
    def wait_until_idle():
        """Wait until both nodes take jobs and no job is there."""

        def idle():
            states = output_of("sinfo", "-h", "-N", "-o", "%T").split()
            return states == ["idle"] * len(NODES) and not output_of("squeue", "-h").strip()

        wait_for(idle, 60, "two idle nodes")

    def jobs(self, state="RUNNING"):
        """Return the numbers of jobs, by node."""
        rows = (row.split() for row in output_of("squeue", "-h", "-t", state, "-o", "%i %N").splitlines())
        return {row[0]: row[-1] for row in rows}

    def kill_node(self, node):
        """Let a node go out like a light: its daemon and all that runs on it."""
        jobs = [job for job, where in self.jobs().items() if where == node] if self.is_up() else []
        kill(RUN / f"slurmd.{node}.pid", "slurmd")
        steps = tuple(f"slurmstepd: [{job}." for job in jobs)
        for pid, title, environment in processes():
            if title.startswith(steps) or f"SLURMD_NODENAME={node}" in environment:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def kill_controller(self):
        kill(RUN / "slurmctld.pid", "slurmctld")


def kill(pid_file, name):
    """Kill a daemon, and wait for its end."""
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return
    if is_running(pid, name):
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_running(pid, name), 20, f"the end of {name}")
    pid_file.unlink(missing_ok=True)
