"""The generators by which a fit draws at random: that of the CPU, and that of the device where the
network is, which draws what is dropped there."""

from collections.abc import Mapping
from typing import Any

import torch

_CPU, _DEVICE = "random_state", "device_random_state"


def put_random_state(checkpoint: dict[str, Any], device: torch.device) -> None:
    """Put the states of the generators into a checkpoint.

    Args:
        checkpoint: that is to be written.
        device: where the network is.
    """
    checkpoint[_CPU] = torch.get_rng_state()
    if device.type != "cpu":
        # That of the current device, which Lightning has made the network's.
        checkpoint[_DEVICE] = {device.type: torch.get_device_module(device).get_rng_state()}


def take_random_state(checkpoint: Mapping[str, Any], device: torch.device) -> None:
    """Set the generators to the states of a checkpoint. One of another kind of device, or of an
    earlier version, holds none of this device, whose generator stays as the seed has set it.

    Args:
        checkpoint: that was read.
        device: where the network is going to be.
    """
    torch.set_rng_state(checkpoint[_CPU])
    state = checkpoint.get(_DEVICE, {}).get(device.type)
    if state is not None:
        torch.get_device_module(device).set_rng_state(state)
