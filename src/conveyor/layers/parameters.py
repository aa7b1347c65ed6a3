"""A cell's parameters and constants as a torch module holds them."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from conveyor.compiler.program import Program
from conveyor.errors import SettingError, ShapeError
from conveyor.kernels.pieces import Parameters, Pieces
from conveyor.layers.block_matrices import block_matrices
from conveyor.layers.request import check_tensor


class CellParameters(nn.Module):
    """One layer's parameters in one direction, by the cell's names: ``.W.f`` is W.f. Constants are
    buffers."""

    def __init__(self, program: Program, sizes: Mapping[str, int], **factory: Any) -> None:
        super().__init__()
        in_blocks = block_matrices(program, sizes)
        for leaf in program.stored:
            shape = in_blocks[leaf.name].shape if leaf.name in in_blocks else None
            numbers = torch.empty(shape or [sizes[axis] for axis in leaf.axes], **factory)
            family, _, gate = leaf.name.partition(".")
            try:
                place, name = (self, family) if not gate else (self._family(family), gate)
                if leaf.kind == "constant":
                    place.register_buffer(name, numbers)
                else:
                    place.register_parameter(name, nn.Parameter(numbers))
            except KeyError as error:
                raise SettingError(
                    f"{program.name}: {leaf.name} cannot be stored: torch.nn.Module has an "
                    f"attribute {(gate if hasattr(nn.Module, gate) else family)!r} of its own. "
                    "Choose another letter."
                ) from error
        self._names = tuple(name for name, _ in self.named_parameters())

    def _family(self, name: str) -> nn.Module:
        if name not in self._modules:
            self.add_module(name, nn.Module())
        return self.get_submodule(name)

    def __repr__(self) -> str:
        shapes = (f"{n} {list(each.shape)}" for n, each in self.named_parameters())
        return f"Parameters({', '.join(shapes)})"

    def by_name(self) -> dict[str, Tensor]:
        """All parameters by the cell's names."""
        # By attribute: pruning and parametrisation put something else in a parameter's place.
        return {name: attrgetter(name)(self) for name in self._names}

    def share(self, other: nn.Module) -> None:
        """Take another's parameters and constants for those of the same name and shape."""
        theirs = {**dict(other.named_parameters()), **dict(other.named_buffers())}
        for name, own in (*self.named_parameters(), *self.named_buffers()):
            if name in theirs and theirs[name].shape == own.shape:
                family, _, gate = name.rpartition(".")
                setattr(self.get_submodule(family), gate, theirs[name])


def stored_shapes(
    program: Program, pieces: Pieces, sizes: Mapping[str, int]
) -> tuple[torch.Size, ...]:
    """Return the shapes that the tensors of a layer must have, where those made of blocks are put
    together: as many rows as their pieces say, and as wide as the axes are by ``sizes``."""
    shapes: dict[int, list[int]] = {}
    for leaf in program.stored:
        tail = [sizes[axis] for axis in leaf.axes[1:]]
        for piece in pieces[leaf.name]:
            rows = shapes.setdefault(piece.tensor, [0, *tail])
            rows[0] = max(rows[0], piece.first + piece.rows)
    return tuple(torch.Size(shapes[number]) for number in sorted(shapes))


def have_shapes(parameters: Parameters, shapes: tuple[torch.Size, ...]) -> bool:
    """Return whether every stored tensor is dense and has its shape."""
    try:
        dense = [each.shape for each in parameters.tensors if each.layout is torch.strided]
        return tuple(dense) == shapes
    except RuntimeError:  # of a nested tensor, which has no shape
        return False


def wrong_shape(
    parameters: Parameters, shapes: tuple[torch.Size, ...], paths: Sequence[tuple[str, ...]]
) -> ShapeError:
    """Return the error about the first stored tensor that does not have its shape, found at its
    path.

    Raises:
        ShapeError: one is no dense tensor.
    """
    for tensor, path in zip(parameters.tensors, paths, strict=True):
        check_tensor(f"parameter {'.'.join(path)}", tensor)
    stored = zip(parameters.tensors, shapes, paths, strict=True)
    tensor, shape, path = next(one for one in stored if one[0].shape != one[1])
    return ShapeError(
        f"parameter {'.'.join(path)} is {list(tensor.shape)}; expected {list(shape)} by the "
        "layer's sizes. Give it that shape, or change the sizes along with all parameters."
    )


def missing(path: str) -> ShapeError:
    """Return the error about a parameter that a layer needs and does not have."""
    return ShapeError(
        f"there is no parameter {path}, which the layer's sizes ask for. Change num_layers, "
        "bidirectional and bias along with the parameters."
    )
