"""A cell's parameters as a torch module holds them."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from conveyor.compiler.program import Program
from conveyor.errors import SettingError


class CellParameters(nn.Module):
    """One layer's parameters in one direction, by the cell's names: ``.W.f`` is W.f."""

    def __init__(self, program: Program, sizes: Mapping[str, int], **factory: Any) -> None:
        super().__init__()
        for leaf in program.parameters:
            parameter = nn.Parameter(torch.empty([sizes[axis] for axis in leaf.axes], **factory))
            family, _, gate = leaf.name.partition(".")
            try:
                place, name = (self, family) if not gate else (self._family(family), gate)
                place.register_parameter(name, parameter)
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
        """Take another's parameters for those of the same name and shape."""
        theirs = dict(other.named_parameters())
        for name, own in list(self.named_parameters()):
            if name in theirs and theirs[name].shape == own.shape:
                family, _, gate = name.rpartition(".")
                setattr(self.get_submodule(family), gate, theirs[name])
