# ruff: noqa: RET504, PLR0917  (cells are written as equations: h = ...; return h)
"""Recurrent: any cell, any layout, and sentences for whatever does not fit."""

import cProfile
import itertools
import json
from typing import Annotated, Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_sequence

import conveyor
from conveyor.cells import CELLS, Bias, Cell, Input, Matrix, State, Value, cell, find, tanh
from conveyor.compiler.program_json import dumps, from_json
from conveyor.compiler.trace import trace as program_of_cell
from conveyor.errors import (
    ConveyorError,
    SettingError,
    ShapeError,
    TargetError,
    UnknownCellError,
)
from tests import table
from tests.kernels.odd_cells import ODD
from tests.kinds import every_law_case
from tests.layers.named import assert_equal, assert_same, draw, gradients, leaf, loss_of, run

every_kind = every_law_case()
every_odd_cell = pytest.mark.parametrize(("own", "sizes"), ODD.values(), ids=ODD)

# Float64: the same operations on the same numbers, but products of other shapes may be summed in
# another order. A few units of 2e-16 in sums of at most 100 products.
CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}


def make(what: str | Cell | Any = "lstm", **kwargs: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    kwargs = {"dtype": torch.float64, **kwargs}
    return conveyor.Recurrent(what, 2, 3, **kwargs)


# What a cell is given by -------------------------------------------------------------------------


@cell
def written_here(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias
) -> tuple[Value, Value]:
    """A user's own."""
    c = 0.5 * c + tanh(W.c @ x + U.c @ h + b.c)
    h = tanh(c + b.h)
    return h, c


def test_a_cell_by_name_by_function_and_by_program() -> None:
    x = draw(7, 3, 2)
    want = run(make("gru", num_layers=2), x)
    program = program_of_cell(find("gru"))
    for same in (find("gru"), program, from_json(json.loads(dumps(program)))):
        assert_equal(run(make(same, num_layers=2), x), want)


def test_a_users_own_cell() -> None:
    layer = make(written_here, bidirectional=True, num_layers=2)
    x, state = draw(7, 3, 2), [draw(4, 3, 3, seed=1), draw(4, 3, 3, seed=2)]
    output, final = make(written_here)(x, [each[:1] for each in state])
    assert final._fields == ("h", "c")
    values = dict(make(written_here).named_parameters())
    c, h = state[1][0], state[0][0]
    for t in range(7):
        read = x[t] @ values["l0.W.c"].T + h @ values["l0.U.c"].T + values["l0.b.c"]
        c = 0.5 * c + read.tanh()
        h = (c + values["l0.b.h"]).tanh()
        torch.testing.assert_close(output[t], h, **CLOSE)
    torch.testing.assert_close(final.c[0], c, **CLOSE)
    assert layer(x, state)[0].shape == (7, 3, 6)


@pytest.mark.parametrize("name", ["lstn", "LSTMN", "lstm_peep", "gru_reset_befor"])
def test_an_unknown_name_is_refused_with_the_nearest(name: str) -> None:
    near = {"lstn": "lstm", "LSTMN": "lstm", "lstm_peep": "lstm_peephole"}.get(
        name, "gru_reset_before"
    )
    with pytest.raises(
        UnknownCellError, match=f"no cell is named '{name}'.*Did you mean.*'{near}'"
    ):
        conveyor.Recurrent(name, 2, 3)


def test_a_name_far_from_all_is_refused_with_all() -> None:
    with pytest.raises(UnknownCellError, match=r"There are: grid_lstm, gru, .*, lstm, .*, rnn"):
        conveyor.Recurrent("transformer", 2, 3)


def _no_cell(x: Value, h: Value) -> Value:
    return x + h


@pytest.mark.parametrize(
    "thing",
    [_no_cell, 5, None, torch.nn.GRUCell(2, 3)],
    ids=["function", "number", "nothing", "module"],
)
def test_what_is_no_cell_is_refused(thing: Any) -> None:
    with pytest.raises(ConveyorError, match="cell"):
        conveyor.Recurrent(thing, 2, 3)


def test_a_cell_is_defined_while_a_profiler_runs() -> None:
    def own(x: Input, h: State, W: Matrix) -> Value:
        h = tanh(W @ x + h)
        return h

    profiler = cProfile.Profile()
    profiler.enable()
    try:
        made = cell(own)
    finally:
        profiler.disable()
    assert_equal(run(make(made), draw(3, 1, 2)), run(make(cell(own)), draw(3, 1, 2)))


def test_two_states_may_have_one_new_value() -> None:
    def doubled(x: Input, h: State, p: State, W: Matrix, U: Matrix) -> tuple[Value, Value]:
        h = tanh(W @ x + U @ (h - 0.5 * p))
        p = h
        return h, p

    _, final = make(cell(doubled))(draw(3, 1, 2))
    assert torch.equal(final.h, final.p)


def test_letters_that_torch_modules_use_are_refused_with_a_sentence() -> None:
    def gate(x: Input, h: State, W: Matrix) -> Value:
        h = tanh(W.half @ x + h)
        return h

    def letter(x: Input, h: State, to: Matrix) -> Value:
        h = tanh(to @ x + h)
        return h

    def family(x: Input, h: State, to: Matrix) -> Value:
        h = tanh(to.f @ x + h)
        return h

    for equations, name in ((gate, "half"), (letter, "to"), (family, "to")):
        with pytest.raises(SettingError, match=f"'{name}'.*Choose another letter"):
            make(cell(equations))


def test_a_state_whose_name_begins_with_an_underscore() -> None:
    def private(x: Input, _h: State, W: Matrix) -> Value:
        _h = tanh(W @ x + _h)
        return _h

    try:
        layer = make(cell(private))
    except ConveyorError as error:
        assert "_h" in str(error)  # noqa: PT017  (refused with a sentence, or it works)
    else:
        output, final = layer(draw(3, 1, 2))
        assert torch.equal(final[0][0], output[-1])


def test_states_and_outputs_as_wide_as_the_input_work_or_are_refused() -> None:
    def adding(x: Input, h: Annotated[State, "I"]) -> Value:
        h = 0.5 * h + x
        return h

    def passing(x: Input, h: State, W: Matrix, U: Matrix) -> tuple[Value, Value]:
        h = tanh(W @ x + U @ h)
        return h, 2 * x

    for equations in (adding, passing):
        for num_layers in (1, 2):
            try:
                layer = make(cell(equations), num_layers=num_layers)
            except ConveyorError as error:
                assert "I" in str(error)  # noqa: PT017  (refused with a sentence, or it works)
            else:
                assert layer(draw(3, 1, 2))[0].shape == (3, 1, 2)


def test_a_first_input_of_another_axis_is_refused() -> None:
    def other(x: Annotated[Input, "Q"], h: State, W: Matrix) -> Value:
        h = tanh(W @ x + h)
        return h

    with pytest.raises(SettingError, match="its first input x has axis Q; expected I"):
        make(cell(other))


# Odd cells ---------------------------------------------------------------------------------------


@every_odd_cell
def test_odd_cells_run_as_step_by_step(own: Cell, sizes: dict[str, int]) -> None:
    layer = make(own, sizes=sizes, num_layers=2, init="torch")
    sources: dict[str, Tensor] = dict(layer.named_parameters())
    sources["input"] = x = leaf(draw(5, 3, 2))
    state: Any = [leaf(draw(*each.shape, seed=n)) for n, each in enumerate(layer.start(3))]
    sources |= {f"start.{n}": each for n, each in enumerate(state)}
    output, final = layer(x, state)
    steps = []
    for x_t in x:
        at_step, state = layer.step(x_t, state)
        steps.append(at_step)
    found = []
    for out, end in ((output, final), (torch.stack(steps), state)):
        results = {"output": out} | {f"final.{n}": each for n, each in enumerate(end)}
        found.append(
            {name: each.detach() for name, each in results.items()}
            | gradients(loss_of(results), sources)
        )
    assert_same(found[0], found[1], **CLOSE)
    assert output.shape == (5, 3, layer.output_size)


@every_odd_cell
def test_odd_cells_with_everything_else(own: Cell, sizes: dict[str, int]) -> None:
    layer = make(own, sizes=sizes, bidirectional=True, init="torch", bias=False)
    x = draw(5, 3, 2)
    alone, _ = layer(x[:2, :1])
    output, final, seen = layer(x, lengths=[2, 0, 5], trace=True)
    torch.testing.assert_close(output[:2, :1], alone, **CLOSE)
    assert torch.equal(output[2:, 0], torch.zeros_like(output[2:, 0]))
    for each, start in zip(final, layer.start(3), strict=True):
        assert torch.equal(each[:, 1], start[:, 1])
    for each in seen.at(0, reverse=True).values():
        assert each.shape[:2] == (5, 3)
    anew = torch.zeros(5, 3, dtype=torch.bool)
    anew[3] = True
    pieces = torch.cat([layer(x[:3])[0], layer(x[3:])[0]])
    torch.testing.assert_close(layer(x, reset=anew)[0], pieces, **CLOSE)
    assert layer(x[:, 0])[0].shape == (5, layer.output_size)
    assert "target: llvm" in layer.explain(x)


# Arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, -1, True, 2.0, "2", None], ids=repr)
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
def test_bad_sizes_are_refused(name: str, bad: Any) -> None:
    given = {"input_size": 2, "hidden_size": 3, "num_layers": 1, name: bad}
    with pytest.raises(SettingError, match=f"{name} is {bad!r}; expected a whole number from 1"):
        conveyor.Recurrent("gru", **given)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), True, "half", None], ids=repr)
def test_bad_dropout_is_refused(bad: Any) -> None:
    with pytest.raises(SettingError, match=f"dropout is {bad!r}; expected a probability"):
        make(dropout=bad)


@pytest.mark.parametrize("name", ["batch_first", "hidden", "layers", "nonlinearity"])
def test_options_go_by_name_and_unknown_ones_are_refused(name: str) -> None:
    given: Any = {name: True} if name != "batch_first" else {}
    positional: Any = (1, True) if name == "batch_first" else ()
    with pytest.raises(TypeError):
        conveyor.Recurrent("gru", 2, 3, *positional, **given)


def test_sizes_of_other_axes() -> None:
    for projected in (1, 2, 3, 7):
        layer = make("lstm_projected", sizes={"P": projected}, num_layers=2, bidirectional=True)
        output, (h, c) = layer(draw(4, 5, 2))
        assert output.shape == (4, 5, 2 * projected)
        assert (h.shape, c.shape) == ((4, 5, projected), (4, 5, 3))
        assert layer.output_size == 2 * projected


@pytest.mark.parametrize("bad", [0, -1, True, 2.0], ids=repr)
def test_bad_sizes_of_other_axes_are_refused(bad: Any) -> None:
    with pytest.raises(SettingError, match=f"size P is {bad!r}; expected a whole number from 1"):
        make("lstm_projected", sizes={"P": bad})


@pytest.mark.parametrize(
    ("name", "sizes", "says"),
    [
        ("lstm_projected", None, "lstm_projected needs sizes of: P; got: nothing"),
        ("lstm_projected", {}, "needs sizes of: P; got: nothing"),
        ("lstm_projected", {"Q": 2}, "needs sizes of: P; got: Q"),
        ("lstm_projected", {"P": 2, "H": 3}, "needs sizes of: P; got: H, P"),
        ("lstm", {"P": 2}, "lstm needs sizes of: nothing; got: P"),
        ("lstm", {"H": 3}, "lstm needs sizes of: nothing; got: H"),
    ],
)
def test_missing_and_needless_sizes_are_refused(
    name: str, sizes: dict[str, int] | None, says: str
) -> None:
    with pytest.raises(SettingError, match=says):
        make(name, sizes=sizes)


def test_a_projection_is_torchs() -> None:
    theirs = torch.nn.LSTM(2, 3, proj_size=2, dtype=torch.float64)
    ours = make("lstm_projected", sizes={"P": 2})
    with torch.no_grad():
        for number, gate in enumerate("ifgo"):
            rows = slice(3 * number, 3 * number + 3)
            ours.get_parameter(f"l0.W.{gate}").copy_(theirs.get_parameter("weight_ih_l0")[rows])
            ours.get_parameter(f"l0.U.{gate}").copy_(theirs.get_parameter("weight_hh_l0")[rows])
            bias = theirs.get_parameter("bias_ih_l0") + theirs.get_parameter("bias_hh_l0")
            ours.get_parameter(f"l0.b.{gate}").copy_(bias[rows])
        ours.get_parameter("l0.R").copy_(theirs.get_parameter("weight_hr_l0"))
    x = draw(7, 3, 2)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], **CLOSE)


@every_kind
def test_no_bias_is_zero_biases(case: table.Case) -> None:
    without = table.make_layer(case, bias=False, num_layers=2, bidirectional=True)
    zeros = table.make_layer(case, num_layers=2, bidirectional=True)
    for key, each in zeros.named_parameters():
        if key.split(".")[1] == "b":
            torch.nn.init.zeros_(each)
    zeros.load_state_dict(without.state_dict(), strict=False)
    assert not [key for key, _ in without.named_parameters() if key.split(".")[1] == "b"]
    x, state = table.make_input(case), table.make_state(case, without)
    want = run(zeros, x, state)
    got = run(without, x, state)
    assert set(want) - set(got) == {
        f"gradient of {key}" for key, _ in zeros.named_parameters() if key.split(".")[1] == "b"
    }
    assert_same(got, {name: want[name] for name in got}, **CLOSE)


# States ------------------------------------------------------------------------------------------


@every_kind
def test_a_state_as_named_tuple_tuple_and_list(case: table.Case) -> None:
    layer = table.make_layer(case)
    x, state = table.make_input(case), table.make_state(case, layer)
    want, _ = layer(x, state)
    for given in (tuple(state), list(state), *([state[0]] if len(state) == 1 else [])):
        assert torch.equal(layer(x, given)[0], want)
    assert torch.equal(layer(x, state=state)[0], want)


BAD_STATES: dict[str, tuple[Any, str]] = {
    "one tensor": (torch.zeros(1, 3, 3), "the state is a Tensor; lstm needs the tensors h, c"),
    "three": ([torch.zeros(1, 3, 3)] * 3, r"the state is a list of \(Tensor, Tensor, Tensor\)"),
    "none": ([], r"the state is a list of \(\)"),
    "by name": (
        {"h": torch.zeros(1, 3, 3), "c": torch.zeros(1, 3, 3)},
        "lstm needs the tensors h, c",
    ),
    "numbers": ([0.0, 0.0], "lstm needs the tensors h, c"),
    "a number": (5, "lstm needs the tensors h, c"),
    "without layers": ([torch.zeros(3, 3)] * 2, "state h has 2 dimensions; for batched 3-D"),
    "layers": ([torch.zeros(2, 3, 3)] * 2, r"state h is \[2, 3, 3\]; expected \[1, 3, 3\]"),
    "batch": ([torch.zeros(1, 2, 3)] * 2, r"state h is \[1, 2, 3\]; expected \[1, 3, 3\]"),
    "batch of one": ([torch.zeros(1, 1, 3)] * 2, r"state h is \[1, 1, 3\]; expected \[1, 3, 3\]"),
    "width": (
        [torch.zeros(1, 3, 3).double(), torch.zeros(1, 3, 4).double()],
        r"state c is \[1, 3, 4\]; expected \[1, 3, 3\]",
    ),
    "type": ([torch.zeros(1, 3, 3)] * 2, "state h is of torch.float32, expected torch.float64"),
    "device": (
        [torch.zeros(1, 3, 3, dtype=torch.float64, device="meta")] * 2,
        "state h is on meta, expected cpu",
    ),
}


@pytest.mark.parametrize(("state", "says"), BAD_STATES.values(), ids=BAD_STATES)
def test_bad_states_are_refused(state: Any, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        make()(draw(7, 3, 2), state)


BAD_INPUTS: dict[str, tuple[Tensor, str]] = {
    "a vector": (torch.zeros(2).double(), "Recurrent: expected input to be 2D or 3D, got 1D"),
    "four": (torch.zeros(1, 1, 1, 2).double(), "expected input to be 2D or 3D, got 4D"),
    "features": (torch.zeros(4, 1, 3).double(), r"input.size\(-1\) is 3; this layer reads 2"),
    "type": (torch.zeros(4, 1, 2), "input is of torch.float32, expected torch.float64"),
    "whole numbers": (torch.zeros(4, 1, 2).long(), "input is of torch.int64"),
    "device": (torch.zeros(4, 1, 2, device="meta").double(), "input is on meta, expected cpu"),
}


@pytest.mark.parametrize(("x", "says"), BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_bad_inputs_are_refused(x: Tensor, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        make()(x)


# Laws --------------------------------------------------------------------------------------------


@every_kind
def test_a_permuted_batch_gives_a_permuted_output(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2, bidirectional=True)
    x, state = table.make_input(case), table.make_state(case, layer)
    output, final = layer(x, state)
    for order in map(list, itertools.permutations(range(3))):
        got, got_final = layer(x[:, order], [each[:, order] for each in state])
        torch.testing.assert_close(got, output[:, order], **CLOSE)
        for mine, other in zip(got_final, final, strict=True):
            torch.testing.assert_close(mine, other[:, order], **CLOSE)


@every_kind
def test_right_to_left_is_left_to_right_on_the_reversed_sequence(case: table.Case) -> None:
    both, right = table.make_layer(case, bidirectional=True), table.make_layer(case)
    right.get_submodule("l0").load_state_dict(both.get_submodule("l0_reverse").state_dict())
    x, state = table.make_input(case), table.make_state(case, both)
    output, final = both(x, state)
    want, want_final = right(x.flip(0), [each[1:] for each in state])
    torch.testing.assert_close(output[..., right.output_size :], want.flip(0), **CLOSE)
    for mine, other in zip(final, want_final, strict=True):
        torch.testing.assert_close(mine[1:], other, **CLOSE)


@every_kind
def test_batch_first_is_the_transpose(case: table.Case) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True}
    layer = table.make_layer(case, **options)
    first = table.make_layer(case, batch_first=True, **options)
    x, state = table.make_input(case), table.make_state(case, layer)
    output, final = layer(x, state)
    got, got_final = first(x.transpose(0, 1).contiguous(), state)
    torch.testing.assert_close(got, output.transpose(0, 1), **CLOSE)
    for mine, other in zip(got_final, final, strict=True):
        torch.testing.assert_close(mine, other, **CLOSE)


@every_kind
def test_one_sequence_is_a_batch_of_one(case: table.Case) -> None:
    for batch_first in (False, True):
        layer = table.make_layer(case, batch_first=batch_first, bidirectional=True)
        x, state = table.make_input(case)[:, 0], table.make_state(case, layer, 1)
        output, final = layer(x, [each[:, 0] for each in state])
        batch = 0 if batch_first else 1
        want, want_final = layer(x.unsqueeze(batch), state)
        assert torch.equal(output, want.squeeze(batch))
        for mine, other in zip(final, want_final, strict=True):
            assert torch.equal(mine, other.squeeze(1))


@every_kind
def test_an_empty_batch(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2, bidirectional=True)
    output, final = layer(table.make_input(case)[:, :0])
    assert output.shape == (7, 0, layer.output_size)
    assert all(each.shape[:2] == (4, 0) for each in final)
    output.sum().backward()
    for key, each in layer.named_parameters():
        assert each.grad is not None, key
        assert torch.equal(each.grad, torch.zeros_like(each)), key


@every_kind
def test_strided_inputs_and_states(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2, bidirectional=True)
    x, state = table.make_input(case), table.make_state(case, layer)
    want = run(layer, x, state)

    def strided(values: Tensor) -> Tensor:
        wide = torch.full((*values.shape[:-1], 2 * values.shape[-1] + 1), torch.nan).double()
        wide = wide.transpose(0, 1).contiguous().transpose(0, 1)
        wide[..., 1::2] = values
        return wide[..., 1::2]

    assert not strided(x).is_contiguous()
    output, final = layer(strided(x), [strided(each) for each in state])
    torch.testing.assert_close(output, want["output"], **CLOSE)
    for number, each in enumerate(final):
        torch.testing.assert_close(each, want[f"final.{number}"], **CLOSE)
    one = draw(1, 3, case.input).expand(7, -1, -1)
    torch.testing.assert_close(layer(one)[0], layer(one.contiguous())[0], **CLOSE)


@every_kind
def test_two_equal_calls_give_the_same_bits(case: table.Case) -> None:
    layer = table.make_layer(case, torch.float32, num_layers=2, bidirectional=True)
    x, state = table.make_input(case, torch.float32), table.make_state(case, layer)
    assert_equal(run(layer, x, state), run(layer, x, state))


@every_kind
def test_float32_is_float64_rounded(case: table.Case) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True}
    wide = table.make_layer(case, **options)
    narrow = table.make_layer(case, torch.float32, **options)
    x, state = table.make_input(case), table.make_state(case, wide)
    want = run(wide, x, state)
    got = run(narrow, x.float(), [each.float() for each in state])
    # float32 rounds to 1.2e-7 of a number; two layers of 7 steps leave up to 5 of these units, up
    # to 32 where a cell divides by what it computed.
    divides = case.cell in {"lstm_layer_norm", "gru_layer_norm", "slstm"}
    loose = {name: each.double() for name, each in got.items()}
    scales = {name: max(1.0, each.abs().max().item()) for name, each in want.items()}
    assert_same(
        {name: each / scales[name] for name, each in loose.items()},
        {name: each / scales[name] for name, each in want.items()},
        rtol=0,
        atol=8e-6 if divides else 1e-6,
    )


def test_dropout_between_layers_only_while_training() -> None:
    x = draw(7, 3, 2)
    layer, without = make("gru", num_layers=2, dropout=1.0), make("gru", num_layers=2)
    assert torch.equal(layer(x)[0], layer(-x)[0])
    assert torch.equal(layer.eval()(x)[0], without(x)[0])
    single = make("gru", dropout=1.0)
    assert torch.equal(single(x)[0], make("gru")(x)[0])


def test_packed_sequences() -> None:
    layer = make(num_layers=2, bidirectional=True)
    sequences = [draw(length, 2, seed=length) for length in (3, 1, 7)]
    state = [draw(4, 3, 3, seed=1), draw(4, 3, 3, seed=2)]
    output, final = layer(pack_sequence(sequences, enforce_sorted=False), state)
    padded, lengths = torch.nn.utils.rnn.pad_packed_sequence(output)
    assert lengths.tolist() == [3, 1, 7]
    want, want_final = layer(torch.nn.utils.rnn.pad_sequence(sequences), state, lengths=[3, 1, 7])
    torch.testing.assert_close(padded, want, **CLOSE)
    torch.testing.assert_close(tuple(final), tuple(want_final), **CLOSE)
    assert final._fields == ("h", "c")


@pytest.mark.parametrize("shape", [(2,), (2, 2), (1, 2)], ids=str)
def test_packed_things_that_are_no_vectors_are_refused(shape: tuple[int, ...]) -> None:
    for steps, count in ((2, 2), (4, 2), (4, 1)):
        whole = [torch.zeros(steps, *shape).double()] * count
        packed = pack_sequence([each[:, 0] for each in whole] if shape == (2,) else whole)
        with pytest.raises(ShapeError, match="input"):
            make("gru")(packed)


def test_a_parametrised_matrix_is_used() -> None:
    layer, x = make("lstm"), draw(3, 1, 2)
    before = run(layer, x)
    parametrizations.weight_norm(layer.get_submodule("l0.W"), "f")
    parametrizations.weight_norm(layer.get_submodule("l0.U"), "f")
    got = run(layer, x)
    for name in ("output", "final.0", "final.1", "gradient of input"):
        torch.testing.assert_close(got[name], before[name], **CLOSE)
    assert (got["gradient of l0.W.parametrizations.f.original0"] != 0).any()


def test_frozen_parameters_get_no_gradient() -> None:
    layer = make("lstm")
    layer.get_submodule("l0.U").requires_grad_(False)
    layer(draw(3, 1, 2))[0].sum().backward()
    for key, each in layer.named_parameters():
        assert (each.grad is None) == key.startswith("l0.U"), key


# What it says about itself -----------------------------------------------------------------------


def test_repr() -> None:
    text = repr(make("gru", num_layers=2, bidirectional=True))
    assert text.startswith("Recurrent(\n  gru, 2, 3, num_layers=2, bidirectional=True\n")
    assert "(l0): Parameters(W.r [3, 2], W.z [3, 2], W.n [3, 2], U.r [3, 3]" in text
    assert "(l1_reverse): Parameters(W.r [3, 6]" in text
    assert len(text.splitlines()) == 2 + 4 + 1


@pytest.mark.parametrize("option", ["bias=False", "batch_first=True", "dropout=0.5"])
def test_repr_tells_options_apart(option: str) -> None:
    name, _, value = option.partition("=")
    given = {"bias": False, "batch_first": True, "dropout": 0.5}[name]
    assert f"{name}={value}" in repr(make("gru", num_layers=2, **{name: given}))


def test_explain() -> None:
    layer = make("lstm", num_layers=2, bidirectional=True)
    text = layer.explain(draw(7, 3, 2))
    assert "lstm: 2 layer(s), 2 direction(s), torch.float64, cpu" in text
    assert "\ntarget: llvm\n" in text
    assert "\n  not reference: llvm can, and comes first.\n" in text
    assert "\n  not triton: kernels for GPUs are not part of this version.\n" in text
    # Per step and direction: 4 gates of H · I + H · H; the second layer reads 2 · H.
    products = 2 * 4 * (3 * 2 + 3 * 3) + 2 * 4 * (3 * 6 + 3 * 3)
    assert f"forward: {products * 21:,} multiply-adds" in text


def test_explain_of_one_and_of_packed_sequences() -> None:
    layer = make("gru", batch_first=True)
    products = 3 * (3 * 2 + 3 * 3)
    assert f"forward: {products * 7:,} multiply-adds" in layer.explain(draw(7, 2))
    packed = pack_sequence([draw(4, 2), draw(1, 2)])
    assert f"forward: {products * 5:,} multiply-adds" in layer.explain(packed)
    assert "target: llvm" in conveyor.GRU(2, 3).explain(torch.zeros(7, 1, 2))


def test_explain_of_what_the_layer_cannot_run() -> None:
    with pytest.raises(ShapeError, match=r"input is of torch\.int64, expected torch\.float64"):
        make("gru").explain(torch.zeros(7, 1, 2, dtype=torch.int64))


# use_target --------------------------------------------------------------------------------------


def test_use_target_as_a_call() -> None:
    layer, x = make(), draw(3, 1, 2)
    want = layer(x)[0]
    try:
        conveyor.use_target("reference")
        torch.testing.assert_close(layer(x)[0], want, **CLOSE)
        assert "target: reference" in layer.explain(x)
    finally:
        conveyor.use_target(None)
    assert torch.equal(layer(x)[0], want)


def test_use_target_as_a_context_manager() -> None:
    layer, x = make(), draw(3, 1, 2)
    want = layer(x)[0]
    with conveyor.use_target("reference"):
        assert "target: reference" in layer.explain(x)
        with conveyor.use_target(None):
            assert torch.equal(layer(x)[0], want)
        assert "target: reference" in layer.explain(x)  # what the outer block asks for
    with pytest.raises(ZeroDivisionError), conveyor.use_target("reference"):
        raise ZeroDivisionError
    assert torch.equal(layer(x)[0], want)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("refrence", r"no target is named 'refrence'\. Did you mean 'reference'\?"),
        ("Reference", r"no target is named 'Reference'\. Did you mean 'reference'\?"),
        ("cuda", r"no target is named 'cuda'\. There are: llvm, native, reference"),
        ("", r"no target is named ''\. There are: llvm, native, reference"),
        (
            "triton",
            r"triton: kernels for GPUs are not part of this version\. "
            r"There are: llvm, native, reference",
        ),
    ],
)
def test_use_target_refuses_what_is_not_there(name: str, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        conveyor.use_target(name)
    assert "target: llvm" in make().explain(draw(3, 1, 2))


def test_every_built_in_cell_is_a_layer() -> None:
    assert {case.cell for case in table.MIDDLING} == set(CELLS)
