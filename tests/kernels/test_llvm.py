"""The target ``llvm`` against the reference: values, gradients, memory, and the rest of torch.

One cell of every kind runs at a sample of odd sizes, drawn so that they together meet every pair
of sizes; the others at some of theirs. ``CONVEYOR_LONG_TESTS=1`` runs every cell at every
combination (some ten minutes).
"""

import copy
import itertools
import random
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Annotated, Any

import pytest
import torch
from torch import nn

import conveyor
from conveyor.cells import Cell, Input, Matrix, State, Value, cell, mean, tanh, total
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace
from conveyor.kernels.kernel import InitialState
from conveyor.kernels.llvm import share
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.reference import ReferenceKernel
from conveyor.kernels.steps import Steps
from tests import table
from tests.kernels.agreement import (
    Judged,
    Problem,
    check,
    check_inference,
    counts_of,
    distance,
    everything,
    problem,
)
from tests.kernels.llvm_cases import (
    CLOSE,
    DTYPES,
    every_dtype,
    every_kind,
    every_program,
    kernels,
    small,
)
from tests.kernels.programs import LAW_PROGRAMS, PROGRAMS, of_a_layer
from tests.kinds import LONG
from tests.layers.named import assert_equal, assert_same, draw, run
from tests.quick_code import quickly

# On both sides of one vector and of several, of float32 (16) and float64 (8); single ones; more
# rows than one panel has.
STEPS = (1, 2, 7, 33)
BATCH = (1, 2, 3, 5, 17)
HIDDEN = (1, 3, 15, 16, 17, 33, 64, 100)
WAYS = ("forward", "reverse", "ragged", "ragged reverse")
READS = (1, 3, 8, 17, 40)
OTHER = (1, 4, 17, 33)
STARTS = (False, True)


Row = tuple[int, int, int, str, int, int, bool]


def cycled(values: tuple[Any, ...], count: int, source: random.Random) -> list[Any]:
    """Each value as often as the others, in a random order."""
    found = [values[number % len(values)] for number in range(count)]
    source.shuffle(found)
    return found


def sample(name: str, count: int = 10) -> list[Row]:
    """Sizes for one cell: every T, B, H and way at least once."""
    source = random.Random(zlib.crc32(name.encode()))
    columns = (STEPS, BATCH, HIDDEN, WAYS, READS, OTHER, STARTS)
    return list(zip(*(cycled(each, count, source) for each in columns), strict=True))


def rows_for(name: str) -> list[Row]:
    """The sizes that a cell runs at."""
    if not LONG:
        # What depends on sizes depends on the kind of a cell: of the others the equations are
        # compared, in each way at least once.
        return sample(name) if name in LAW_PROGRAMS else sample(name, len(WAYS))
    source = random.Random(0)
    return [
        (*own, source.choice(READS), source.choice(OTHER), source.choice(STARTS))
        for own in itertools.product(STEPS, BATCH, HIDDEN, WAYS)
    ]


def problem_of(name: str, row: Row) -> Problem:
    """A cell at sizes of the design."""
    steps, batch, hidden, way, reads, other, zero_start = row
    program, more = PROGRAMS[name]
    widths = {"I": reads, "H": hidden, **dict.fromkeys(more, other)}
    counts = counts_of(steps, batch, seed=hidden) if way.startswith("ragged") else None
    walk = Steps(steps, batch, counts, reverse=way.endswith("reverse"))
    return problem(program, widths, walk, zero_start=zero_start)


# Every cell at every size ------------------------------------------------------------------------


def test_witnesses_together_meet_every_pair_of_sizes() -> None:
    rows = [row for name in LAW_PROGRAMS for row in sample(name)]
    for one, two in itertools.combinations(range(4), 2):
        met = {(row[one], row[two]) for row in rows}
        columns = (STEPS, BATCH, HIDDEN, WAYS)
        assert met == set(itertools.product(columns[one], columns[two]))
    for one, values in enumerate((STEPS, BATCH, HIDDEN, WAYS)):
        of_types = {
            (row[one], number % 2)
            for name in LAW_PROGRAMS
            for number, row in enumerate(sample(name))
        }
        assert of_types == set(itertools.product(values, range(2)))
    for name in LAW_PROGRAMS:
        own = list(zip(*sample(name), strict=True))
        assert [set(each) for each in own[:4]] == [set(STEPS), set(BATCH), set(HIDDEN), set(WAYS)]


@every_program
def test_every_cell_agrees_with_the_reference(name: str) -> None:
    made = kernels(PROGRAMS[name][0])
    # Of cells that are of one kind with others the equations are compared, see rows_for.
    code: AbstractContextManager[object]
    code = nullcontext() if LONG or name in LAW_PROGRAMS else quickly()
    for number, row in enumerate(rows_for(name)):
        given = problem_of(name, row)
        judged = Judged.of(given)
        # In the short run each row in one type, by turns.
        for dtype in DTYPES if LONG else (DTYPES[number % 2],):
            try:
                with code:
                    got = judged.check(made[dtype], dtype)
                    check_inference(made[dtype], given, got, dtype)
            except AssertionError as error:
                raise AssertionError(f"{row} {dtype}: {error}") from error


@every_kind
def test_sequences_without_a_step_keep_their_state(name: str) -> None:
    """Of five sequences, two take part in no step."""
    made = kernels(PROGRAMS[name][0])
    for reverse in (False, True):
        given = small(name, 5, Steps(4, 5, (3, 2, 2, 0), reverse))
        judged = Judged.of(given)
        for dtype, kernel in made.items():
            judged.check(kernel, dtype)


@pytest.mark.parametrize("name", ["lstm", "normalised", "read_out", "lstm_projected"])
@every_dtype
def test_what_is_observed(name: str, dtype: torch.dtype) -> None:
    given = small(name, 5, Steps(4, 3, (3, 2, 1, 1)))
    judged = Judged.of(given, observe=True)
    assert any(each.startswith("local ") for each in judged.want)
    judged.check(LlvmKernel(plan(given.program), dtype), dtype)


@every_kind
def test_one_step(name: str) -> None:
    given = small(name, 17, Steps(1, 3))
    for dtype, kernel in kernels(given.program).items():
        own = given.at({key: each.to(dtype) for key, each in given.sources().items()})
        outputs, final = kernel.step(
            own.inputs, InitialState.of(of_a_layer(own.start)), Parameters.of(own.parameters)
        )
        want = own.run(kernel)
        assert_equal(outputs, want.outputs)
        assert_equal(final, want.final)


def test_many_rows_and_long_sequences() -> None:
    """More rows than a stretch has, and than are summed at once; sums over stretches."""
    for name, steps in (
        ("gru", Steps(150, 17)),
        ("lstm_peephole", Steps(90, 40, counts_of(90, 40, 2), True)),
        ("normalised", Steps(40, 70)),
    ):
        program, more = PROGRAMS[name]
        given = problem(program, {"I": 40, "H": 33, **more}, steps)
        # Float64 alone: what float32's long sums are worth is measured against torch's below.
        Judged.of(given).check(LlvmKernel(plan(program), torch.float64), torch.float64)


@pytest.mark.parametrize("stretch", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES if LONG else DTYPES[1:], ids=str)
def test_short_stretches(stretch: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes from stretch to stretch, at sizes where everything is one stretch otherwise."""
    monkeypatch.setattr(share, "STRETCH_ROWS", stretch)
    monkeypatch.setattr(share, "STRETCH_BYTES", 1)
    for name in ("lstm", "gru", "normalised", "learned_level", "one_before", "twice"):
        for steps in (Steps(9, 3), Steps(9, 5, (5, 4, 4, 4, 3, 2, 1, 1, 1), True)):
            given = small(name, 17, steps)
            kernel = LlvmKernel(plan(given.program), dtype)
            Judged.of(given).check(kernel, dtype)
            (launch, *_) = kernel.launch_plans._plans.values()
            assert len(launch.share.stretches) > 1


@cell
def late_double(
    x: Input, h: State, W: Matrix, U: Matrix, V: Annotated[Matrix, "Q"]
) -> tuple[Value, ...]:
    """Outputs made of the old state, which the loop has left behind when they are made."""
    double, whole, read = 2 * h, total(h), V @ h
    h = tanh(W @ x + U @ h)
    return h, double, whole, read


@every_dtype
def test_outputs_made_of_the_old_state(dtype: torch.dtype) -> None:
    program = trace(late_double)
    for steps in (Steps(1, 1), Steps(5, 3), Steps(4, 3, (3, 2, 2, 1), True)):
        for hidden in (1, 4, 17):
            given = problem(program, {"I": 3, "H": hidden, "Q": 2}, steps)
            check(program, given, dtype)


@cell
def two_means(x: Input, h: State, W: Matrix) -> tuple[Value, Value]:
    """The width of an axis is needed within the loop and after it."""
    size = mean(h * h)
    h = tanh(W @ x + mean(h))
    return h, size


@cell
def two_widths(
    x: Input, h: State, W: Matrix, V: Annotated[Matrix, "Q"], A: Matrix
) -> tuple[Value, Value]:
    """Products of one operand whose results are of different widths, one of which goes on."""
    y = total(A @ tanh(V @ x))
    h = W @ x + h / 2
    return h, y


@pytest.mark.parametrize("own", [two_means, two_widths], ids=lambda own: own.name)
def test_widths_and_numbers(own: Cell) -> None:
    program = trace(own)
    for widths in ({"H": 1, "Q": 9}, {"H": 33, "Q": 2}, {"H": 17, "Q": 40}):
        given = problem(program, {"I": 16, **widths}, Steps(3, 2))
        check(program, given, torch.float64)


@cell
def read_by_both(x: Input, h: State, W: Matrix, U: Matrix, V: Matrix) -> Value:
    """V reads two values, the second of which U reads as well."""
    e = tanh(V @ h + W.e @ x)
    h = tanh(W.r @ x + U @ h + V @ e)
    return h  # noqa: RET504  (as equations are written)


@every_dtype
def test_a_matrix_that_is_used_twice_beside_one_that_is_used_once(dtype: torch.dtype) -> None:
    """Sums of V's gradient are added up; U's, which stands beside one of them, is one sum."""
    program = trace(read_by_both)
    for steps in (Steps(4, 3), Steps(4, 3, (3, 2, 2, 1), True)):
        check(program, problem(program, {"I": 3, "H": 5}, steps), dtype)


# Layers ------------------------------------------------------------------------------------------

# What stands above the first layer only is no layer by itself.
LAYERS = [
    table.Case(name, 9, 5, 3, 17, more)
    for name, (_, more) in PROGRAMS.items()
    if name in LAW_PROGRAMS and not name.endswith(", first layer")
]


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.cell)
def test_layers_with_lengths_and_resets(case: table.Case) -> None:
    """Two layers, both directions; a sequence of no step, and resets on first and last steps."""
    torch.manual_seed(0)
    layer = conveyor.Recurrent(
        PROGRAMS[case.cell][0],
        case.input,
        case.hidden,
        2,
        bidirectional=True,
        sizes=case.sizes,
        dtype=torch.float64,
    )
    x, state = table.make_input(case), table.make_state(case, layer)
    anew = draw(case.steps, case.batch, seed=3) > 0.6
    anew[0, 1] = anew[-1, 2] = anew[3, 3] = True
    for options in (
        {},
        {"lengths": [4, 0, 9, 1, 9]},
        {"reset": anew},
        {"lengths": [4, 0, 9, 1, 9], "reset": anew},
        {"lengths": [0] * 5},
    ):
        got = run(layer, x, state, **options)
        with conveyor.use_target("reference"):
            want = run(layer, x, state, **options)
        assert_same(got, want, **CLOSE)


# Float32 against torch.nn ------------------------------------------------------------------------

TORCH: dict[str, Callable[[int, int], tuple[nn.Module, nn.Module]]] = {
    "LSTM": lambda reads, hidden: (conveyor.LSTM(reads, hidden), nn.LSTM(reads, hidden)),
    "LSTM projected": lambda reads, hidden: (
        conveyor.LSTM(reads, hidden, proj_size=7),
        nn.LSTM(reads, hidden, proj_size=7),
    ),
    "GRU": lambda reads, hidden: (conveyor.GRU(reads, hidden), nn.GRU(reads, hidden)),
    "RNN": lambda reads, hidden: (conveyor.RNN(reads, hidden), nn.RNN(reads, hidden)),
    "RNN relu": lambda reads, hidden: (
        conveyor.RNN(reads, hidden, nonlinearity="relu"),
        nn.RNN(reads, hidden, nonlinearity="relu"),
    ),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(
    "sizes", [(7, 3, 5, 16), (33, 5, 17, 33), (50, 64, 8, 16), (33, 17, 64, 100)], ids=str
)
@pytest.mark.parametrize("make", TORCH.values(), ids=TORCH)
def test_float32_is_as_good_as_torchs(
    make: Callable[..., tuple[nn.Module, nn.Module]], sizes: tuple[int, int, int, int]
) -> None:
    """At most twice torch.nn's error, of each result and gradient: the relative L2 norm of all
    its numbers, at least 16 of them, and a unit of the last place (2**-23) for luck: how torch sums
    depends on the processor. On one, its gradient of a bias, 3,200 addends, was within 7.6e-8 and
    ours within 2.1e-7, which half a unit does not allow by a hundredth."""
    steps, batch, reads, hidden = sizes
    torch.manual_seed(0)
    own, torchs = make(reads, hidden)
    own.load_state_dict(torchs.state_dict())
    x = draw(steps, batch, reads).float()
    want = run(copy.deepcopy(torchs).double(), x.double())
    got, other = run(own, x), run(torchs, x)
    worse = []
    for name, each in want.items():
        ours, theirs = distance(got[name], each), distance(other[name], each)
        if ours > 2 * theirs + 2.0**-23:
            worse.append(f"{name}: {ours:.2g}, torch's {theirs:.2g}")
    assert not worse, "; ".join(worse)


# NaN and infinity --------------------------------------------------------------------------------

SPECIAL = (float("nan"), float("inf"), -float("inf"))


@every_kind
def test_what_is_no_number_propagates_as_in_the_reference(name: str) -> None:
    """In one sequence of four: the others keep every bit."""
    program, more = PROGRAMS[name]
    given = problem(program, {"I": 3, "H": 17, **more}, Steps(5, 4))
    for dtype, kernel in kernels(program).items():
        judge = ReferenceKernel(kernel.plan)
        clean = everything(kernel, given, dtype)
        for special in SPECIAL:
            first = next(iter(given.inputs))
            x = given.inputs[first].clone()
            x[2 * 4 + 1, 0] = special  # step 2, sequence 1
            own = replace(given, inputs={**given.inputs, first: x})
            got, want = everything(kernel, own, dtype), everything(judge, own, dtype)
            for key, each in want.items():
                if key.startswith("gradient of parameter"):
                    continue  # sums over all sequences
                where = each.isfinite()
                assert torch.equal(got[key].isfinite(), where), f"{key} at {special}"
                assert torch.equal(got[key].isnan(), each.isnan()), f"{key} at {special}"
                rows = [row for row in range(len(each)) if row % 4 != 1]
                assert torch.equal(got[key][rows], clean[key][rows]), key


@pytest.mark.parametrize("special", SPECIAL, ids=str)
def test_parameters_that_are_no_numbers(special: float) -> None:
    given = small("lstm", 17)
    for key in ("parameter U.f", "parameter W.g", "parameter b.i"):
        values = given.sources()[key].clone()
        values.view(-1)[3] = special
        own = given.at({key: values})
        for dtype, kernel in kernels(given.program).items():
            judge = ReferenceKernel(kernel.plan)
            got, want = everything(kernel, own, dtype), everything(judge, own, dtype)
            for name, each in want.items():
                assert torch.equal(got[name].isnan(), each.isnan()), f"{name}, {key}"


@every_dtype
def test_numbers_of_every_size(dtype: torch.dtype) -> None:
    """States saturate; nothing overflows inside a function."""
    given = small("lstm", 17)
    for size in (1e-30, 1e-3, 1e3, 1e30):
        x = given.inputs["x"] * size
        own = replace(given, inputs={"x": x.float().double()})
        got = everything(LlvmKernel(plan(given.program), dtype), own, dtype)
        want = everything(ReferenceKernel(plan(given.program)), own, dtype)
        for name, each in want.items():
            assert torch.equal(got[name].isfinite(), each.isfinite()), (name, size)
            if name.startswith(("output", "final")):
                # Float32: two units of the last place, five steps.
                bound = 1e-5 if dtype == torch.float32 else 1e-13
                torch.testing.assert_close(got[name], each, rtol=0, atol=bound)
