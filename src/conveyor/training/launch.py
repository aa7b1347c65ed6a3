"""How a process was started, and whether it is the one of several that speaks and writes.

Lightning starts one more for each further device of a machine, by running the same command again;
or torchrun or SLURM have started all of them, on one machine or many.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

# Jobs of these names are a person at a shell: SLURM counts their tasks, but starts no process of
# theirs.
_SHELLS = ("bash", "interactive")


@dataclass(frozen=True)
class Launch:
    """How this process was started.

    Args:
        by: what has started all of them; empty where Lightning starts the others itself.
        processes: how many were started, over all machines; None where Lightning starts them.
        on_each: how many of them on each machine; None where nobody says so.
        is_main: whether this is the first of all.
        is_first_here: whether this is the first of its machine.
    """

    by: str
    processes: int | None
    on_each: int | None
    is_main: bool
    is_first_here: bool


def launch(environment: Mapping[str, str] | None = None) -> Launch:
    """Return how this process was started.

    Args:
        environment: what says so; None for the variables of this process.
    """
    environment = os.environ if environment is None else environment
    local = environment.get("LOCAL_RANK", "0")
    if "TORCHELASTIC_RUN_ID" in environment:
        started = int(environment["WORLD_SIZE"])
        on_each = _number(environment, "LOCAL_WORLD_SIZE")
        return Launch("torchrun", started, on_each, environment["RANK"] == "0", local == "0")
    tasks = int(environment.get("SLURM_NTASKS", "1"))
    # A job of a single task is as no job: Lightning starts what more is asked for.
    if tasks > 1 and environment.get("SLURM_JOB_NAME") not in _SHELLS:
        number, here = environment.get("SLURM_PROCID", "0"), environment.get("SLURM_LOCALID", "0")
        on_each = _number(environment, "SLURM_NTASKS_PER_NODE")
        return Launch("SLURM", tasks, on_each, number == "0", here == "0")
    # Somebody runs the command once on each machine, and says which this is.
    machine = environment.get("NODE_RANK", environment.get("GROUP_RANK", "0"))
    return Launch("", None, None, machine == "0" and local == "0", local == "0")


def _number(environment: Mapping[str, str], name: str) -> int | None:
    """What a variable says, if it says a number."""
    value = environment.get(name, "")
    return int(value) if value.isdecimal() else None


def is_main_process() -> bool:
    """Whether this process speaks and writes: one does, of all on all machines."""
    return launch().is_main


def tells_errors() -> bool:
    """Whether this process says what is wrong: the first of each machine, for data may be copies,
    and only one of them damaged."""
    return launch().is_first_here


def silence(line: str) -> None:
    """Say nothing: what the other processes do instead of printing."""
