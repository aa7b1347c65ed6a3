"""Several processes that fit one network: their shares, and what they tell each other.

Lightning starts one more for each further device of a machine, by running the same command again;
or torchrun or SLURM have started all of them, on one machine or many. All read the same data and
make the same network. Then each computes its share of every batch.
"""

import torch
from torch import Tensor, distributed

from conveyor.errors import SettingError, named
from conveyor.tasks.settings import Training
from conveyor.training.launch import launch


def check_processes(settings: Training, *, in_order: bool) -> None:
    """See that as many processes were started as settings say, and that they can share a batch.

    Args:
        in_order: whether batches come in order, so that all have the same streams.

    Raises:
        SettingError: there are more or fewer, or they cannot.
    """
    wanted, started = settings.processes, launch()
    if started.by == "SLURM" and started.on_each is None:  # Lightning asks for it
        raise SettingError(
            f"SLURM started {started.processes} processes and does not say how many on each "
            f"machine. Give it --ntasks-per-node, and as many {named('devices')} here."
        )
    devices, machines = settings.devices, settings.nodes
    if started.processes not in (None, wanted) or started.on_each not in (None, devices):
        on_each = f", {started.on_each} on each machine" if started.on_each else ""
        raise SettingError(
            f"{started.by} started {started.processes} processes{on_each}; expected {wanted}, for "
            f"{named('devices', devices)} on {named('nodes', machines)}. Give these two as "
            f"{started.by} has them."
        )
    if in_order and settings.batch % wanted:
        raise SettingError(
            f"batch is {settings.batch}, and {wanted} processes share its streams; expected a "
            f"multiple of {wanted}. Give {named('batch', -(-settings.batch // wanted) * wanted)}."
        )
    if settings.batch < wanted:
        raise SettingError(
            f"batch is {settings.batch}, and {wanted} processes share it; expected {wanted} or "
            f"more. Give {named('batch', wanted)}."
        )


def number_of_this(processes: int) -> int:
    """Return which of so many processes this is, from 0. Where there are several, they must have
    met: Lightning has them do so before it asks for the first batch."""
    return distributed.get_rank() if processes > 1 else 0


def sum_of_all(values: Tensor, processes: int) -> Tensor:
    """Return the sums over all processes. Each gets the same."""
    if processes > 1:
        values = values.clone()
        distributed.all_reduce(values)
    return values


def largest_of_all(value: int, device: torch.device, processes: int) -> int:
    """Return the largest value that a process has. Each gets the same."""
    if processes == 1:
        return value
    values = torch.tensor(value, device=device)
    distributed.all_reduce(values, distributed.ReduceOp.MAX)
    return int(values)


def wait_for_all(processes: int) -> None:
    """Wait until every process has come here, if they have met."""
    if processes > 1 and distributed.is_initialized():
        distributed.barrier()
