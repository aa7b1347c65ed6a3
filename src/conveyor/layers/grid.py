"""Grid LSTMs of one and of three dimensions; the one of two, time and depth, is a cell.

Kalchbrenner, Danihelka & Graves 2016, Grid long short-term memory. Each dimension has an LSTM of
its own, and all of them read what comes in along all dimensions.
"""

from typing import Any

import torch
from torch import Tensor, nn

from conveyor.cells.grid_lstm import check_output, grid_block
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError, ShapeError
from conveyor.kernels.kernel import InitialState, Kernel, Values
from conveyor.kernels.memory import check_memory, has_memory
from conveyor.kernels.pieces import Parameters, Piece, Pieces
from conveyor.kernels.select import target_for
from conveyor.kernels.steps import Steps
from conveyor.layers.cache import Cache, cache_of
from conveyor.layers.checks import check_whole
from conveyor.layers.initialise import initialise
from conveyor.layers.parameters import (
    CellParameters,
    have_shapes,
    missing,
    stored_shapes,
    wrong_shape,
)
from conveyor.layers.request import check_same_kind, check_tensor
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.symbolic import is_symbolic, recorded


class GridLSTM(nn.Module):
    """A grid of LSTM blocks: ``num_layers`` deep, and as long and wide as its input.

    Of one dimension it is a feed-forward network whose layers hand on a memory. Of three it reads
    data of rows and columns, such as images in patches, or two sequences beside each other: what a
    layer gives at a place depends on all rows before and all columns before. For two dimensions,
    time and depth, use ``Recurrent("grid_lstm")`` or a form of it, ``cells.grid_lstm_with``: that
    has states, lengths and steps.

    Args:
        input_size: features of the input, I. Two projections of it stand below the first layer.
        hidden_size: units along each dimension, H.
        num_layers: blocks along depth.
        dimensions: 1 or 3.
        tied: all layers share their parameters.
        output: ``"outside"``: hidden vectors are tanh(o * m), as the paper prints it;
            ``"inside"``: o * tanh(m).
        priority: depth is computed after the other dimensions and reads their new hidden vectors.

    Parameters are ``below.weight`` [2 H, I], then by layer as in ``blocks.0.W.f``: W acts on the
    hidden vector from below, U on that of the column before, V on that of the row before; gates
    f, i, g, o go along the columns (of one dimension: depth), rf to ro along the rows, df to do
    along depth.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dimensions: int = 3,
        tied: bool = False,
        output: str = "outside",
        priority: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_output(output)
        if dimensions == 2:
            raise SettingError(
                "a grid of two dimensions, time and depth, is a cell: use Recurrent('grid_lstm') "
                "or Recurrent(cells.grid_lstm_with(...))."
            )
        if dimensions not in (1, 3):
            raise SettingError(f"dimensions is {dimensions!r}; expected 1 or 3.")
        if dimensions == 1 and priority:
            raise SettingError("priority: a grid of one dimension has no other than depth.")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.dimensions, self.tied, self.output, self.priority = dimensions, tied, output, priority
        program = trace(grid_block(dimensions, output=output, priority=priority))
        self._plan = plan(program)
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        self.below = nn.Linear(input_size, 2 * hidden_size, bias=False, **where)
        nn.init.xavier_uniform_(self.below.weight)
        self.blocks = nn.ModuleList()
        for _ in range(1 if tied else num_layers):
            own = CellParameters(program, {"H": hidden_size, "I": hidden_size}, **where)
            initialise(
                program, own.by_name(), "default", hidden_size=hidden_size, longest_dependency=None
            )
            self.blocks.append(own)

    def extra_repr(self) -> str:
        """What ``repr`` shows inside the brackets."""
        return f"{self.input_size}, {self.hidden_size}, dimensions={self.dimensions}"

    def _weight_below(self) -> Tensor:
        """Return the projection of the input.

        Raises:
            ShapeError: it does not have the shape that the grid's sizes say.
            TargetError: its memory was freed.
        """
        weight: Tensor = self.below.weight
        check_tensor("parameter below.weight", weight)
        shape = 2 * self.hidden_size, self.input_size
        if weight.shape != shape:
            raise ShapeError(
                f"parameter below.weight is {list(weight.shape)}; expected {list(shape)} by the "
                "grid's sizes."
            )
        if weight.is_cpu and has_memory(weight):
            check_memory(weight)
        return weight

    def _kernel(self, like: Tensor) -> Kernel:
        placement = SequenceLayer._placement(like)
        if torch._C._len_torch_dispatch_stack() > 0:  # someone must see every operation
            placement = placement._replace(transformed=True)
        target = target_for(self._plan, placement)
        kernels: Cache[tuple[str, torch.dtype], Kernel] = cache_of(self, "_kernels")
        if (target.name, like.dtype) not in kernels:
            kernels[target.name, like.dtype] = target.compile(self._plan, like.dtype)
        return kernels[target.name, like.dtype]

    def _parameters_of_blocks(self) -> list[Parameters]:
        """Return the parameters of each block.

        Raises:
            ShapeError: one does not have the shape that the grid's sizes say.
        """
        program, units = self._plan.program, self.hidden_size
        pieces = self._pieces(units)
        shapes = stored_shapes(program, pieces, {"H": units, "I": units})
        blocks = []
        for number, block in enumerate(self.blocks):
            named = block.by_name()  # type: ignore[operator]
            stored = Parameters(tuple([named[name] for name in pieces]), pieces)
            if not have_shapes(stored, shapes):
                paths = [(f"blocks.{number}", name) for name in pieces]
                raise wrong_shape(stored, shapes, paths)
            blocks.append(stored)
        return blocks

    def _pieces(self, units: int) -> Pieces:
        """Return how parameters of so many units are stored, always the same object: kernels keep
        what they work out by it."""
        pieces: Cache[int, Pieces] = cache_of(self, "_known_pieces")
        if units not in pieces:
            names = [leaf.name for leaf in self._plan.program.parameters]
            pieces[units] = {n: (Piece(number, 0, units),) for number, n in enumerate(names)}
        return pieces[units]

    __prepare_scriptable__ = SequenceLayer.__prepare_scriptable__

    def forward(self, x: Tensor) -> Tensor:
        """The hidden vectors that leave the top layer along depth.

        ``torch.export`` writes all operations down, for as many rows and columns as its example
        has; the number of examples may be dynamic (``strict=False``, which is the default).

        Args:
            x: of one dimension [..., input_size]; of three [R, C, B, input_size], rows, columns
                and examples.

        Returns:
            As ``x``, but with ``hidden_size`` features.

        Raises:
            ShapeError: ``x`` has other dimensions or features.
        """
        if is_symbolic(x):
            whole: Tensor = recorded(self, x)
            return whole
        if torch.compiler.is_compiling() and not torch.compiler.is_exporting():
            from conveyor.layers import compiled  # noqa: PLC0415  (it loads torch's compiler)

            found: Tensor = compiled.run_grid(self, x)
            return found
        return self._run(x)

    def _run(self, x: Tensor) -> Tensor:
        weight = self._weight_below()
        check_tensor("the input", x)
        if x.shape[-1:] != (self.input_size,) or (self.dimensions == 3 and x.dim() != 4):
            form = "[R, C, B, {}]" if self.dimensions == 3 else "[..., {}]"
            raise ShapeError(
                f"the input is {list(x.shape)}; expected {form.format(self.input_size)}."
            )
        check_same_kind("the input", x, weight)
        x = x.to(weight.dtype)  # another only under autocast
        blocks = self._parameters_of_blocks()
        kernel = self._kernel(weight)
        if not self.tied and self.num_layers > len(blocks):
            raise missing(f"blocks.{len(blocks)}")
        layers = [blocks[0 if self.tied else number] for number in range(self.num_layers)]
        both: Tensor = self.below(x)
        # Under autocast a product comes out in another type.
        y, d = torch.split(both.to(weight.dtype), self.hidden_size, -1)
        if x.numel() == 0:  # no block to compute
            return y
        if self.dimensions == 1:
            return self._up(kernel, layers, y, d)
        return self._over_rows(kernel, layers, y, d)

    def _up(self, kernel: Kernel, layers: list[Parameters], y: Tensor, d: Tensor) -> Tensor:
        """One dimension: a step of the block is a layer, its state what goes up."""
        shape = y.shape
        y, state = y.reshape(-1, self.hidden_size), {"d": d.reshape(1, -1, self.hidden_size)}
        for own in layers:
            outputs, state = kernel.step(
                {"x": y}, InitialState({"d": self.hidden_size}, state), own
            )
            y = outputs["y"]
        return y.reshape(shape)

    def _over_rows(self, kernel: Kernel, layers: list[Parameters], y: Tensor, d: Tensor) -> Tensor:
        """Three dimensions: each row of a layer is a sequence of columns, which reads the row
        before it and the layer below."""
        _, columns, batch, units = y.shape
        for own in layers:
            zeros = y.new_zeros(columns, batch, units)
            before: Values = {"k": zeros, "n": zeros}
            rows = []
            for y_row, d_row in zip(y, d, strict=True):
                inputs = {
                    "x": y_row,
                    "d_below": d_row,
                    "k_before": before["k"],
                    "n_before": before["n"],
                }
                before = self._along(kernel, inputs, own)
                rows.append(before)
            y = torch.stack([row["y"] for row in rows])
            d = torch.stack([row["d"] for row in rows])
        return y

    @staticmethod
    def _along(kernel: Kernel, inputs: Values, own: Parameters) -> Values:
        """One row of one layer, column by column."""
        columns, batch, units = inputs["x"].shape
        begin = InitialState({"h": units, "m": units}, None)
        if not torch.compiler.is_exporting():
            steps = Steps.dense(columns, batch)
            return kernel.sequence(inputs, begin, own, steps=steps, observe=False).outputs
        # A sequence's steps hold numbers of rows, and an exported program has any number of them.
        state, found = begin, list[Values]()
        for column in range(columns):
            here = {name: each[column] for name, each in inputs.items()}
            outputs, after = kernel.step(here, state, own)
            state = InitialState(begin.widths, after)
            found.append(outputs)
        return {name: torch.stack([each[name] for each in found]) for name in found[0]}
