"""How a process was started, and whether it is the main one, which prints and writes.

Lightning starts a process for each further device of a machine by running the same command once
more; or torchrun or SLURM has started all processes, on one machine or many.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

# SLURM gives these names to interactive jobs. It counts their tasks, but does not start their
# processes.
_SHELLS = ("bash", "interactive")


@dataclass(frozen=True)
class Launch:
    """How this process was started.

    Args:
        by: the program that has started all processes; empty if Lightning starts the others.
        processes: the number of processes on all machines; None if Lightning starts them.
        on_each: the number of processes on each machine; None if it is unknown.
        is_main: whether this is the first of all processes.
        is_first_here: whether this is the first process of its machine.
    """

    by: str
    processes: int | None
    on_each: int | None
    is_main: bool
    is_first_here: bool


def launch(environment: Mapping[str, str] | None = None) -> Launch:
    """Return how this process was started.

    Args:
        environment: the environment variables; None for those of this process.
    """
    environment = os.environ if environment is None else environment
    local = environment.get("LOCAL_RANK", "0")
    if "TORCHELASTIC_RUN_ID" in environment:
        processes = int(environment["WORLD_SIZE"])
        on_each = _number(environment, "LOCAL_WORLD_SIZE")
        return Launch("torchrun", processes, on_each, environment["RANK"] == "0", local == "0")
    tasks = int(environment.get("SLURM_NTASKS", "1"))
    # In a job of a single task Lightning starts the other processes, as without a job.
    if tasks > 1 and environment.get("SLURM_JOB_NAME") not in _SHELLS:
        rank, local = environment.get("SLURM_PROCID", "0"), environment.get("SLURM_LOCALID", "0")
        on_each = _number(environment, "SLURM_NTASKS_PER_NODE")
        return Launch("SLURM", tasks, on_each, rank == "0", local == "0")
    # A user who runs the command once on each machine sets one of these variables.
    machine = environment.get("NODE_RANK", environment.get("GROUP_RANK", "0"))
    return Launch("", None, None, machine == "0" and local == "0", local == "0")


def _number(environment: Mapping[str, str], name: str) -> int | None:
    """Return the number in a variable, None if it holds no number."""
    value = environment.get(name, "")
    return int(value) if value.isdecimal() else None


def is_main_process() -> bool:
    """Return whether this process prints and writes; of all processes only the main one does."""
    return launch().is_main


def reports_errors() -> bool:
    """Return whether this process prints errors. The first process of each machine does, because
    machines may have copies of the data, of which only one is damaged."""
    return launch().is_first_here


def silence(line: str) -> None:
    """Show nothing: the ``say`` of all processes but the main one."""
