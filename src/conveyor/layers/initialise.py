"""Start values of a cell's parameters."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import init

from conveyor.cells.initial_value import Shared, Start
from conveyor.compiler.program import Program
from conveyor.errors import SettingError, did_you_mean
from conveyor.layers.block_matrices import BlockMatrices

HOW = ("default", "torch", "chrono", "irnn")

# Standard deviation of what reads the input: Le, Jaitly & Hinton 2015.
IRNN_INPUT = 0.001


def recurrent_matrices(program: Program) -> frozenset[str]:
    """The matrices that multiply something that depends on the state of the step before."""
    return frozenset(
        o.arguments[0]
        for o in program.operations
        if o.op == "matmul" and o.arguments[1] in program.dependent_on_state
    )


def _at_least_float32(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def fill(vector: Tensor, start: Start) -> None:
    """Fill a bias, a vector or a constant with what it starts at."""
    if isinstance(start, tuple):
        init.uniform_(vector, *start)
    elif isinstance(start, Shared):
        vector.copy_(torch.tensor(start.over(len(vector))))
    elif isinstance(start, str):
        edge = 1 / max(2, len(vector))
        vector.copy_(init.uniform_(vector, edge, 1 - edge).logit())
    else:
        init.constant_(vector, start)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Inside the block torch computes with one thread: with more, LAPACK rounds otherwise, and the
    same seed would begin otherwise on another machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _orthogonal(matrix: Tensor) -> None:
    # In float32 at least: torch has no QR decomposition of half precision on CPUs.
    made = matrix.new_empty(matrix.shape, dtype=_at_least_float32(matrix))
    with _one_thread():
        matrix.copy_(init.orthogonal_(made))


def _identity_start(program: Program, name: str, matrix: Tensor, *, recurrent: bool) -> None:
    if not recurrent:
        init.normal_(matrix, std=IRNN_INPUT)
        return
    rows, columns = matrix.shape
    if rows != columns:
        raise SettingError(
            f"init is 'irnn', and {name} of {program.name} is [{rows}, {columns}]: only a square "
            "matrix can be the identity. Use another initialisation."
        )
    init.eye_(matrix)


def _fill_matrix(
    program: Program, name: str, matrix: Tensor, how: str, recurrent: frozenset[str]
) -> None:
    if how == "irnn":
        _identity_start(program, name, matrix, recurrent=name in recurrent)
    elif name in recurrent:
        _orthogonal(matrix)
    else:
        init.xavier_uniform_(matrix)


def _fill_block(
    program: Program,
    name: str,
    block: Tensor,
    how: str,
    recurrent: frozenset[str],
    *,
    on_diagonal: bool,
) -> None:
    if on_diagonal or name not in recurrent:
        _fill_matrix(program, name, block, how, recurrent)
    elif how == "irnn":
        init.zeros_(block)
    else:
        init.xavier_uniform_(block)


@torch.no_grad()
def initialise(
    program: Program,
    parameters: Mapping[str, Tensor],
    how: str,
    *,
    hidden_size: int,
    longest_dependency: int | None,
    in_blocks: BlockMatrices | None = None,
) -> None:
    """Fill one layer's parameters, in one direction.

    ``"default"``  matrices that read the input Glorot-uniform, recurrent ones orthogonal, biases
                   and vectors 0, but for the cell's own start values (forget bias 1).
    ``"torch"``    everything uniform in ±1/√H, as torch.nn does.
    ``"irnn"``     as default, but recurrent matrices the identity and those that read the input
                   normal with 0.001: an Elman network with relu then begins by adding up (Le,
                   Jaitly & Hinton 2015).
    ``"chrono"``   as default, and gate biases log U(1, T - 1) so that the cell remembers for 1
                   to T = ``longest_dependency`` steps (Tallec & Ollivier 2018).

    Of a matrix made of blocks (``in_blocks``), each block on the diagonal begins as a matrix of its
    own would; those above it are Glorot-uniform, as what reads an input, and 0 with irnn.

    Raises:
        SettingError: ``how`` is unknown, chrono lacks its T or a cell that can use it, or a
            recurrent matrix is not square and cannot be the identity.
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
            fill(each, start.get(name, 0.0))
        elif in_blocks and name in in_blocks:
            for (row, column), block in zip(in_blocks[name].places, each, strict=True):
                _fill_block(program, name, block, how, recurrent, on_diagonal=row == column)
        else:
            _fill_matrix(program, name, each, how, recurrent)
    if longest_dependency is not None:
        if not isinstance(longest_dependency, int) or longest_dependency < 3:
            raise SettingError(
                f"longest_dependency is {longest_dependency!r}; expected a whole number from 3."
            )
        if not program.keep:
            raise SettingError(
                f"{program.name} says of no bias that it sets how long the cell remembers, which "
                "chrono initialisation needs. If one does, declare it: @cell(keep={'b.f': +1}), -1 "
                "of one that makes it take in more."
            )
        width = next(iter(parameters[name] for name, _ in program.keep))
        spans = torch.empty_like(width).uniform_(1, longest_dependency - 1).log_()
        for name, sign in program.keep:
            parameters[name].copy_(sign * spans)
