"""Several processes that fit one network: checks their number, and exchanges values between them.

``launch.py`` says how they are started. All read the same data and make the same network; then each
computes its share of every batch.
"""

import torch
from torch import Tensor, distributed

from conveyor.errors import SettingError, named
from conveyor.tasks.settings import Training
from conveyor.training.launch import launch


def check_processes(settings: Training, *, in_order: bool) -> None:
    """Check that the settings and the started processes agree, and that they can share a batch.

    Args:
        settings: the number of devices and machines, and the size of a batch.
        in_order: whether the task reads batches in order, so that streams are divided.

    Raises:
        SettingError: there are more or fewer processes, or they cannot share a batch.
    """
    expected, started = settings.processes, launch()
    if started.by == "SLURM" and started.on_each is None:  # Lightning needs this number
        raise SettingError(
            f"SLURM started {started.processes} processes and does not say how many on each "
            f"machine. Give it --ntasks-per-node, and as many {named('devices')} here."
        )
    devices, machines = settings.devices, settings.nodes
    if started.processes not in (None, expected) or started.on_each not in (None, devices):
        on_each = f", {started.on_each} on each machine" if started.on_each else ""
        raise SettingError(
            f"{started.by} started {started.processes} processes{on_each}; expected {expected}, "
            f"for {named('devices', devices)} on {named('nodes', machines)}. Give these two as "
            f"{started.by} has them."
        )
    if in_order and settings.batch % expected:
        multiple = -(-settings.batch // expected) * expected
        raise SettingError(
            f"batch is {settings.batch}, and {expected} processes share its streams; expected a "
            f"multiple of {expected}. Give {named('batch', multiple)}."
        )
    if settings.batch < expected:
        raise SettingError(
            f"batch is {settings.batch}, and {expected} processes share it; expected {expected} "
            f"or more. Give {named('batch', expected)}."
        )


def rank_of_this(processes: int) -> int:
    """Return the rank of this process among ``processes``, from 0. Several processes must be
    connected, which Lightning does before it asks for the first batch."""
    return distributed.get_rank() if processes > 1 else 0


def sum_of_all(values: Tensor, processes: int) -> Tensor:
    """Return the sums over all processes, the same in each of them."""
    if processes > 1:
        values = values.clone()
        distributed.all_reduce(values)
    return values


def largest_of_all(value: int, device: torch.device, processes: int) -> int:
    """Return the largest value of all processes, the same in each of them."""
    if processes == 1:
        return value
    values = torch.tensor(value, device=device)
    distributed.all_reduce(values, distributed.ReduceOp.MAX)
    return int(values)


def wait_for_all(processes: int) -> None:
    """Wait until every process has called this, if they are connected."""
    if processes > 1 and distributed.is_initialized():
        distributed.barrier()
