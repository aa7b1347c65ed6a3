"""``Recurrent``: the module that unrolls any cell."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, TypeVar, overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.cells.definition import Cell
from conveyor.compiler.check import check_cell
from conveyor.compiler.program import Program
from conveyor.compiler.regularise import regularised
from conveyor.compiler.show import program_of
from conveyor.compiler.simplify import without_bias
from conveyor.errors import SettingError
from conveyor.kernels.kernel import Values
from conveyor.kernels.pieces import Parameters, Piece
from conveyor.layers.block_matrices import BlockMatrix, block_matrices, check_blocks
from conveyor.layers.checks import check_probability, check_whole
from conveyor.layers.constants import Numbers, check_constants, fill_constants
from conveyor.layers.dilation import Dilation, check_dilation
from conveyor.layers.initialise import initialise
from conveyor.layers.layer_trace import Trace
from conveyor.layers.named_inputs import first_input, read_input_size
from conveyor.layers.parameters import CellParameters, missing
from conveyor.layers.places import Places
from conveyor.layers.regularisers import Regularisation
from conveyor.layers.request import one_of_each
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.stack import StackParameters
from conveyor.layers.state import state_type
from conveyor.layers.walk import check_merge

T = TypeVar("T")


def _names_of_parameters(program: Program, _: int) -> tuple[tuple[str, str], ...]:
    return tuple(
        [
            (family if gate else "", gate or family)
            for family, _, gate in (leaf.name.partition(".") for leaf in program.stored)
        ]
    )


class Recurrent(SequenceLayer):
    """Any cell over sequences, as ``torch.nn.LSTM`` is for its cell.

    Args:
        cell: a built-in cell's name (``conveyor.cells.CELLS``), a cell, or a program.
        input_size: features of the input, I. Where the cell has several inputs, those of each by
            name: ``{"x": 8, "u": 3}``. The first goes up the layers; the others are read by every
            layer. So is what the cell looks at, whose width stands here too: ``{"x": 8, "memory":
            32}``. A call gives it as [L, B, width], or as ``Places`` with lengths of its own; such
            a layer has no stream and no ``numpy()``.
        hidden_size: units of the state, H.
        num_layers: layers, each reading the output of the one before.
        bias: False leaves out what the cell declares as Bias.
        batch_first: inputs and outputs are [B, T, width] instead of [T, B, width]; states
            stay [num_layers * directions, B, width], as in torch.nn.
        dropout: probability of dropping a layer's output before the next layer.
        locked_dropout: whether ``dropout`` drops the same features of a sequence at all steps
            (locked dropout: Merity, Keskar & Socher 2018). Step by step it cannot: a call of
            ``step`` in training draws anew.
        bidirectional: a second set of parameters reads each sequence from its end.
        merge: what becomes of both directions: ``"concatenate"``: every layer reads both, side by
            side, as in torch.nn; ``"sum"``: every layer reads their sum; ``"separate"``: each runs
            through all layers by itself, and they stand side by side after the last.
        dilation: how many steps late a layer reads its state, a number or one for each layer, as in
            ``(1, 2, 4)`` (Chang et al. 2017). Each state has that many rows for a layer then, the
            first of which the next step reads: [directions * sum of dilations, B, width]. A cell
            that reads the number of the step counts every so many-th there. A dilated
            layer breaks a compiled graph, and is exported for one length.
        learn_start: the state before the first step, and after a reset, is learned: parameters
            ``start_h`` and so on, [num_layers * directions, width], which begin as the cell says
            (at 0 where that is minus infinity, as the sLSTM's m).
        init: ``"default"``, ``"torch"``, ``"chrono"`` or ``"irnn"``, see ``layers.initialise``.
        longest_dependency: for ``"chrono"``, in time steps.
        sizes: widths of axes other than I and H, as in ``{"P": 16}`` for ``lstm_projected``.
        constants: the numbers of the cell's constants that do not start as the cell says, in all
            layers and directions: a number, one for each unit (a list or a tensor), or
            ``Shared((1, 2, 4))``, see ``cells.Shared``. Constants are buffers: saved in the
            ``state_dict``, and not learned.
        zoneout: probability of each unit's state to stay what it was; by state as in
            ``{"h": 0.05, "c": 0.5}``, or one for h and, with a mask of their own that they share,
            all other states. In evaluation old and new are mixed by it (Krueger et al. 2017).
        recurrent_dropout: probability of dropping units of a local name of the cell, anew at each
            step, as in ``{"g": 0.25}``: the candidate (Semeniuta, Severyn & Barth 2016).
        variational_dropout: probability of dropping features of each layer's input, and units of
            the states where matrices read them, the same at all steps of a sequence (Gal &
            Ghahramani 2016).
        weight_dropout: probability of dropping weights of recurrent matrices, drawn for each call
            (DropConnect; Merity, Keskar & Socher 2018).
        clip: states that are kept in ± a number, as in ``{"c": 50.0}``.
        tied: layers share their parameters, those of the same name and shape, each direction
            its own.
        checkpoint: True keeps only √T/2 of the states for the backward pass, which computes
            what is between again: memory O(√T), a third to a half more time. A number: a state
            every so many steps. With ``trace``, under ``torch.func`` and in ``torch.compile``
            everything is kept.
        device, dtype: of the parameters.

    Parameters are named by layer, letter and gate: ``l0.W.f``, ``l0_reverse.U.o``. An input of the
    cell called ``c_below`` is the output c of the layer below; in the first layer it is ``l0.P`` @
    x (``l0.P.c`` where there are several).

    Raises:
        UnknownCellError: no cell has that name.
        SettingError: an argument is out of its range.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        input_size: int | Mapping[str, int],
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        bidirectional: bool = False,
        merge: str = "concatenate",
        dilation: Dilation = 1,
        learn_start: bool = False,
        init: str = "default",
        longest_dependency: int | None = None,
        sizes: Mapping[str, int] | None = None,
        constants: Mapping[str, Numbers] | None = None,
        zoneout: float | Mapping[str, float] = 0.0,
        recurrent_dropout: Mapping[str, float] | None = None,
        variational_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        clip: Mapping[str, float] | None = None,
        tied: bool = False,
        checkpoint: bool | int = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole(hidden_size=hidden_size, num_layers=num_layers)
        check_probability("dropout", dropout, 1.0)
        check_dilation(dilation, num_layers)
        program = check_cell(program_of(cell))
        if program.memories and dilation != 1:
            raise SettingError(
                f"dilation is {dilation!r}; {program.name} looks at a memory, and a layer of such "
                "a cell is not dilated. Leave dilation out."
            )
        if sizes is not None and not isinstance(sizes, Mapping):
            raise SettingError(f"sizes is {sizes!r}; expected numbers by axis, as {{'P': 16}}.")
        inputs = read_input_size(
            program,
            input_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            sizes=sizes or {},
        )
        outputs = program.values_of("output")
        if num_layers == 1:
            outputs = dict([next(iter(outputs.items()))])
        for of, value in (*program.values_of("state").items(), *outputs.items()):
            if program.axes[value] == ("I",):
                raise SettingError(
                    f"{program.name}: {of} is as wide as the input, [I], which differs from layer "
                    "to layer; Recurrent does not run that. Project it: R @ x."
                )
        program = program if bias else without_bias(program)
        regularisation = Regularisation(
            zoneout, recurrent_dropout, variational_dropout, weight_dropout, clip
        )
        self._set_plan(program, regularisation)
        self.program = regularised(program, regularisation.of(program), training=False)
        self.checkpoint = checkpoint
        self.input_size, self.num_layers = inputs.as_given, num_layers
        self.dilation = dilation if isinstance(dilation, int) else tuple(dilation)
        self.bias, self.batch_first, self.locked_dropout = bias, batch_first, locked_dropout
        check_merge(merge, bidirectional=bidirectional)
        self.dropout, self.bidirectional, self.merge = float(dropout), bidirectional, merge
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise SettingError(
                f"dtype is {dtype}; expected a torch.dtype of floating-point numbers."
            )
        self.sizes = {"H": hidden_size, **inputs.axes, **(sizes or {})}
        needed = program.size_letters - {"I", "H"}
        needed -= inputs.axes.keys() - (sizes or {}).keys()
        if set(sizes or {}) != needed:
            raise SettingError(
                f"besides I and H, {program.name} needs sizes of: "
                f"{', '.join(sorted(needed)) or 'nothing'}; got: "
                f"{', '.join(sorted(sizes or {})) or 'nothing'}. Give them as sizes={{'P': 16}}."
            )
        check_whole(**{f"size {axis}": number for axis, number in self.sizes.items()})
        check_constants(program, constants, {**self.sizes, "I": self._features})
        # Says where and of what type the layer is, also if the cell has no parameters.
        nowhere = torch.empty(0, device=device, dtype=dtype)
        self.register_buffer("_nowhere", nowhere, persistent=False)
        main = first_input(program)
        for layer, reads in enumerate(self._widths_read()):
            if main.axes == ("H",) and reads != hidden_size:
                raise SettingError(
                    f"{program.name}: its input {main.name} is read unit by unit, and layer "
                    f"{layer + 1} reads {reads} features; expected {hidden_size}, the hidden size. "
                    "Merge both directions with merge='sum' or 'mean'."
                )
            for suffix in ("", "_reverse")[: 2 if bidirectional else 1]:
                program = self._plans[layer].inference.program
                own = CellParameters(
                    program, {**self.sizes, "I": reads}, device=device, dtype=dtype
                )
                initialise(
                    program,
                    own.by_name(),
                    init,
                    in_blocks=block_matrices(program, {**self.sizes, "I": reads}),
                    hidden_size=hidden_size,
                    longest_dependency=longest_dependency,
                )
                fill_constants(program, own, constants or {})
                if tied:
                    for below in range(layer):
                        own.share(self.get_submodule(f"l{below}{suffix}"))
                self.add_module(f"l{layer}{suffix}", own)
        self._set_learn_start(learn_start)

    @property
    def hidden_size(self) -> int:
        """Units of the hidden state, H. Changed along with the parameters, it takes effect at the
        next call."""
        return self.sizes["H"]

    @hidden_size.setter
    def hidden_size(self, size: int) -> None:
        self.sizes = {**self.sizes, "H": size}

    def _stack_parameters(self) -> StackParameters:
        return [
            [
                Parameters(self._tensors(layer, f"l{layer}{suffix}"), self._pieces[layer])
                for suffix in ("", "_reverse")[: 2 if self.bidirectional else 1]
            ]
            for layer in range(self.num_layers)
        ]

    def _tensors(self, layer: int, name: str) -> tuple[Tensor, ...]:
        """Return the tensors of a layer in one direction, whose module is called ``name``."""
        where = self._where[layer]
        stored = [self._tensor(name, family, gate) for family, gate in where]
        if self._forms:
            for place, form in enumerate(self._forms[layer]):
                if form is not None:
                    check_blocks(stored[place], form, ".".join(filter(None, (name, *where[place]))))
                    stored[place] = form.whole(stored[place])
        return tuple(stored)

    def _stack_paths(self) -> list[list[list[tuple[str, ...]]]]:
        return [
            [
                [
                    tuple(filter(None, (f"l{layer}{suffix}", family, name)))
                    for family, name in self._where[layer]
                ]
                for suffix in ("", "_reverse")[: 2 if self.bidirectional else 1]
            ]
            for layer in range(self.num_layers)
        ]

    @cached_property
    def _where(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Family and gate of each parameter of each layer; no family where the letter is all there
        is."""
        return self._by_layer(_names_of_parameters)

    @cached_property
    def _forms(self) -> tuple[tuple[BlockMatrix | None, ...], ...]:
        def forms(program: Program, reads: int) -> tuple[BlockMatrix | None, ...]:
            in_blocks = block_matrices(program, {**self.sizes, "I": reads})
            return tuple([in_blocks.get(leaf.name) for leaf in program.stored])

        return self._by_layer(forms) if self._cell.blocks else ()

    @cached_property
    def _pieces(self) -> tuple[dict[str, tuple[Piece, ...]], ...]:
        """The parameters' rows of each layer, each parameter a tensor of its own."""

        def pieces(program: Program, reads: int) -> dict[str, tuple[Piece, ...]]:
            sizes = {**self.sizes, "I": reads}
            return {
                leaf.name: (Piece(number, 0, sizes[leaf.axes[0]]),)
                for number, leaf in enumerate(program.stored)
            }

        return self._by_layer(pieces)

    def _by_layer(self, of: Callable[[Program, int], T]) -> tuple[T, ...]:
        """Return what each layer has by its program and by how many features it reads. Layers of
        one program that read the same share it: kernels keep what they work out by its identity."""
        shared: dict[tuple[int, int], T] = {}
        for plans, reads in zip(self._plans, self._widths_read(), strict=True):
            key = id(plans.inference), reads
            if key not in shared:
                shared[key] = of(plans.inference.program, reads)
        return tuple(
            [
                shared[id(plans.inference), reads]
                for plans, reads in zip(self._plans, self._widths_read(), strict=True)
            ]
        )

    def _tensor(self, layer: str, family: str, name: str) -> Tensor:
        """A layer's parameter. By attribute where something else was put in its place, as pruning
        and parametrisation do."""
        holder: Any = self._modules.get(layer)
        if family and holder is not None:
            holder = holder._modules.get(family)
        tensor = None if holder is None else holder._parameters.get(name)
        tensor = getattr(holder, name, None) if tensor is None else tensor
        if not isinstance(tensor, Tensor):
            raise missing(".".join(filter(None, (layer, family, name))))
        return tensor

    def _weight(self) -> Tensor:
        if self._where[0]:
            return self._tensor("l0", *self._where[0][0])
        nowhere: Tensor = self._buffers["_nowhere"]  # type: ignore[assignment]
        return nowhere

    def _sizes(self) -> Mapping[str, int]:
        return self.sizes

    def _state_of(self, values: Values) -> Any:
        return state_type(tuple(values))(**values)

    def _values_of(self, state: Any) -> Values:
        return one_of_each(state, tuple(self._state_widths), self.program.name, "the state")

    @overload
    def forward(
        self,
        x: Tensor,
        state: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: Literal[False] = False,
    ) -> tuple[Tensor, Any]: ...

    @overload
    def forward(
        self,
        x: Mapping[str, Tensor | PackedSequence | Places],
        state: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: Literal[False] = False,
    ) -> tuple[Any, Any]: ...

    @overload
    def forward(
        self,
        x: Mapping[str, Tensor | PackedSequence | Places],
        state: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: Literal[True, "gradient"],
    ) -> tuple[Any, Any, Trace]: ...

    @overload
    def forward(
        self,
        x: Tensor,
        state: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: Literal[True, "gradient"],
    ) -> tuple[Tensor, Any, Trace]: ...

    @overload
    def forward(
        self,
        x: PackedSequence,
        state: Any = None,
        *,
        trace: Literal[False] = False,
    ) -> tuple[PackedSequence, Any]: ...

    @overload
    def forward(
        self,
        x: PackedSequence,
        state: Any = None,
        *,
        trace: Literal[True, "gradient"],
    ) -> tuple[PackedSequence, Any, Trace]: ...

    def forward(
        self,
        x: Tensor | PackedSequence | Mapping[str, Tensor | PackedSequence | Places],
        state: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: bool | Literal["gradient"] = False,
    ) -> tuple[Any, ...]:
        """Run the sequences.

        Args:
            x: [T, B, input_size]; [B, T, input_size] with ``batch_first``; [T, input_size] for
                one sequence; or a PackedSequence. Where the cell has several inputs, a mapping of
                them by name, all of the same steps and sequences.
            state: what ``start`` gives or a call returned; None begins anew.
            lengths: how many steps of each sequence count, 0 to T, in any order and on any
                device. Outputs after a sequence's end are exact zeros, its final state is the
                one at its end, and the reverse direction begins there.
            reset: bool [T, B] ([B, T] with ``batch_first``): where True, the state is that of
                ``start`` again before the step.
            trace: also return every local name of the cell over time, see ``Trace``. With
                ``"gradient"`` they lie on the way to the output: the gradient by c at a step is
                that of the loss. The call then takes about one and a half times as long, a small
                one up to three times.

        Returns:
            (output, state) or (output, state, trace). The output is [T, B, output_size], laid out
            as the input, or a named tuple of those where the cell has several; the state is a named
            tuple of [num_layers * directions, B, width].

        Raises:
            ShapeError: a tensor does not fit; the text says what was expected.
        """
        return self._run(x, state, lengths, reset, trace)

    def extra_repr(self) -> str:
        """What ``repr`` shows inside the brackets."""
        text = f"{self.program.name}, {self.input_size}, {self.hidden_size}"
        usual = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "locked_dropout": False,
            "bidirectional": False,
            "merge": "concatenate",
            "dilation": 1,
            "learn_start": False,
            "variational_dropout": 0.0,
            "weight_dropout": 0.0,
        }
        own = {name: getattr(self, name) for name in usual}
        shown = [f"{name}={own[name]}" for name in usual if own[name] != usual[name]]
        inside = {
            n: getattr(self._regularisation, n) for n in ("zoneout", "recurrent_dropout", "clip")
        }
        shown += [f"{name}={value}" for name, value in inside.items() if value]
        return ", ".join([text, *shown])
