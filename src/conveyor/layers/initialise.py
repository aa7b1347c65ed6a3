"""Start values of a cell's parameters."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import init

from conveyor.compiler.program import Program
from conveyor.errors import SettingError, did_you_mean

HOW = ("default", "torch", "chrono")


def recurrent_matrices(program: Program) -> frozenset[str]:
    """The matrices that multiply something that depends on the state of the step before."""
    return frozenset(
        o.arguments[0]
        for o in program.operations
        if o.op == "matmul" and o.arguments[1] in program.dependent_on_state
    )


def _at_least_float32(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


@torch.no_grad()
def initialise(
    program: Program,
    parameters: Mapping[str, Tensor],
    how: str,
    *,
    hidden_size: int,
    longest_dependency: int | None,
) -> None:
    """Fill one layer's parameters, in one direction.

    ``"default"``  matrices that read the input Glorot-uniform, recurrent ones orthogonal, biases
                   and vectors 0, but for the cell's own start values (forget bias 1).
    ``"torch"``    everything uniform in ±1/√H, as torch.nn does.
    ``"chrono"``   as default, and gate biases log U(1, T - 1) so that the cell remembers for 1
                   to T = ``longest_dependency`` steps (Tallec & Ollivier 2018).

    Raises:
        SettingError: ``how`` is unknown, or chrono lacks its T or a cell that can use it.
    """
    if how not in HOW:
        raise SettingError(f"init is {how!r}. {did_you_mean(str(how), HOW)}")
    if (how == "chrono") != (longest_dependency is not None):
        raise SettingError(
            "init='chrono' and longest_dependency go together, as in "
            "init='chrono', longest_dependency=784."
        )
    if how == "torch":
        bound = 1 / math.sqrt(hidden_size)
        for each in parameters.values():
            init.uniform_(each, -bound, bound)
        return
    recurrent = recurrent_matrices(program)
    start = dict(program.start)
    for name, each in parameters.items():
        if each.dim() < 2:
            init.constant_(each, start.get(name, 0.0))
        elif name in recurrent:
            # In float32 at least: torch has no QR decomposition of half precision on CPUs.
            made = init.orthogonal_(each.new_empty(each.shape, dtype=_at_least_float32(each)))
            each.copy_(made)
        else:
            init.xavier_uniform_(each)
    if longest_dependency is not None:
        if not isinstance(longest_dependency, int) or longest_dependency < 3:
            raise SettingError(
                f"longest_dependency is {longest_dependency!r}; expected a whole number from 3."
            )
        if not program.keep:
            raise SettingError(
                f"{program.name} has no gate bias that sets how long it remembers, so chrono "
                "initialisation cannot be used with it."
            )
        width = next(iter(parameters[name] for name, _ in program.keep))
        spans = torch.empty_like(width).uniform_(1, longest_dependency - 1).log_()
        for name, sign in program.keep:
            parameters[name].copy_(sign * spans)
