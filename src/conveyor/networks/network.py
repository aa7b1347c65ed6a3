"""What a model must be able to do, so that it can be fitted, saved, loaded and compared."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from conveyor.cells.definition import Cell
from conveyor.compiler.first_layer import first_layer
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.errors import SettingError, named
from conveyor.layers.recurrent import Recurrent

# What decides which epoch is kept, unless a network names another score.
LOSS = "loss"


@dataclass(frozen=True)
class Loss:
    """The loss of a batch.

    ``value`` is to be minimised: the mean over ``count`` windows, steps, characters or sequences.
    ``state`` is carried to the next batch where batches come in order, cut off from its past.
    ``penalty`` is minimised with ``value`` in training, and reported nowhere. ``found`` is what a
    network gives beside the loss of the validation set, if that is not what decides which epoch is
    kept: [3], how many answers there were to give, how many were given, and how many of these were
    right, as a sum over the batch.
    """

    value: Tensor
    count: int
    state: Any = None
    penalty: Tensor | None = None
    found: Tensor | None = None

    @property
    def minimised(self) -> Tensor:
        """What training minimises."""
        return self.value if self.penalty is None else self.value + self.penalty


def has_projection(program: Program) -> bool:
    """Return whether a cell has a projection, which needs a size of its own."""
    return any("P" in leaf.axes for leaf in program.leaves)


def check_one_input(program: Program) -> Program:
    """Return the program of a cell that reads what tasks give: one input.

    Raises:
        SettingError: it reads several, or looks at a memory.
    """
    main, *others = first_layer(program).leaves_of("input")
    needs = [f"reads {leaf.name}" for leaf in others]
    needs += [f"looks at {leaf.name}" for leaf in program.memories]
    if needs:
        raise SettingError(
            f"{program.name} {' and '.join(needs)} besides {main.name}, and the networks of tasks "
            "have one input. Use it in a network of your own, by conveyor.Recurrent, or choose "
            "another cell."
        )
    return program


def projection_of(cell: str | Cell | Program, projection: int) -> dict[str, int] | None:
    """Return the sizes that a recurrent layer needs besides H: those of a projection.

    Args:
        cell: see ``conveyor.Recurrent``.
        projection: units of axis P; 0 for cells that have none.

    Raises:
        SettingError: the cell has a projection and no size for it, or the other way round.
    """
    program = program_of(cell)
    projects = has_projection(program)
    if projects and not projection:
        raise SettingError(f"{program.name} has a projection. Give {named('projection', 16)}.")
    if projection and not projects:
        raise SettingError(f"{program.name} has no projection. Leave {named('projection')} out.")
    return {"P": projection} if projection else None


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a network's recurrent part, as a saved network's description holds them.

    Args:
        hidden: units of the hidden state.
        layers: how many.
        dropout: probability of dropping what goes between layers.
        projection: units of axis P, for cells that have it; 0 for those that have not.
    """

    hidden: int
    layers: int = 1
    dropout: float = 0.0
    projection: int = 0

    def recurrent(
        self,
        cell: str | Cell | Program,
        inputs: int,
        *,
        batch_first: bool = False,
        dilation: int = 1,
        locked_dropout: bool = False,
        weight_dropout: float = 0.0,
    ) -> Recurrent:
        """Return the recurrent part.

        Args:
            cell: see ``conveyor.Recurrent``.
            inputs: features of a step.
            batch_first: whether batches come first.
            dilation: how many steps late the state is read.
            locked_dropout, weight_dropout: see ``conveyor.Recurrent``.
        """
        return Recurrent(
            cell,
            inputs,
            self.hidden,
            self.layers,
            batch_first=batch_first,
            dropout=self.dropout,
            dilation=dilation,
            locked_dropout=locked_dropout,
            weight_dropout=weight_dropout,
            sizes=projection_of(cell, self.projection),
        )

    @classmethod
    def of(cls, recurrent: Recurrent, **more: Any) -> dict[str, Any]:
        """Return the sizes of a recurrent part as JSON holds them.

        Args:
            recurrent: the part.
            more: further sizes of the network.
        """
        sizes = cls(
            hidden=recurrent.hidden_size,
            layers=recurrent.num_layers,
            projection=recurrent.sizes.get("P", 0),
            **{"dropout": recurrent.dropout, **more},
        )
        return asdict(sizes)


class Network(nn.Module, ABC):
    """A model of a task: a recurrent network and what stands before and after it.

    A network can be made again from a program and a description, which is plain data: that is how
    it is saved and loaded. One without a recurrent part says so by ``program``, and has a title of
    its own.
    """

    # The part that walks over time, of networks that have a program.
    recurrent: Recurrent

    # By what the epochs of a fit are told apart: the loss of the validation set; or, if it has
    # another name, the F1 of what ``Loss.found`` counts there, and of equals the loss. That is the
    # accuracy where as many answers are given as there are to give.
    decided_by: str = LOSS

    @property
    def program(self) -> Program | None:
        """The program of its cell; None of a network without one."""
        return self.recurrent.program

    @property
    def title(self) -> str:
        """What tables call it: the name of its cell."""
        return self.recurrent.program.name

    @property
    def step_weights(self) -> int:
        """How many numbers a time step is computed with, which decides about threads."""
        return sum(parameter.numel() for parameter in self.recurrent.parameters())

    def optimizer(self, learning_rate: float) -> Optimizer:
        """Return what changes the weights: Adam, unless a network's gradients are sparse.

        Args:
            learning_rate: at the start.
        """
        return Adam(self.parameters(), lr=learning_rate)

    @property
    def parameter_count(self) -> int:
        """How many numbers are learned."""
        return sum(parameter.numel() for parameter in self.parameters())

    @abstractmethod
    def loss(self, batch: Any, state: Any = None) -> Loss:
        """Return the loss of a batch.

        Args:
            batch: what the task's examples give.
            state: of the batch before, where batches come in order; None begins.
        """

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Return what ``described`` reads, as JSON can hold it. The program is not part of it."""

    @classmethod
    @abstractmethod
    def described(cls, program: Any, description: Mapping[str, Any], where: str) -> Self:
        """Return the untrained network of a program and a description.

        Args:
            program: the cell's ``Program``; None of a network without one.
            description: what ``description`` gave, read from a file that may hold anything.
            where: the file, for errors.

        Raises:
            RunError, SettingError: the description is none.
        """
