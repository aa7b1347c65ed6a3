# ruff: noqa: RET504, PLR0917  (cells are written as equations: h = ...; return h)
"""Start values of parameters."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import CELLS, Bias, Input, Matrix, State, Value, Vector, cell, tanh
from conveyor.errors import CellError, SettingError
from tests.layers.named import assert_equal
from tests.table import MORE_AXES

H = 33
SIZES = {name: dict.fromkeys(axes, 20) for name, axes in MORE_AXES.items()}
every_cell = pytest.mark.parametrize("name", CELLS)


def make(name: str, *, seed: int = 0, hidden: int = H, **kwargs: Any) -> conveyor.Recurrent:
    torch.manual_seed(seed)
    kwargs = {"dtype": torch.float64, **kwargs}
    return conveyor.Recurrent(name, 5, hidden, sizes=SIZES.get(name), **kwargs)


def family(key: str) -> str:
    """The letter of a parameter: W of l0.W.f."""
    return key.split(".")[1]


def assert_orthogonal(matrix: Tensor) -> None:
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    # A QR decomposition in float64 of 33 columns: 33 · 2.2e-16, and some air.
    torch.testing.assert_close(product, torch.eye(len(product)).double(), rtol=0, atol=1e-13)


@every_cell
def test_default(name: str) -> None:
    layer = make(name, num_layers=2, bidirectional=True)
    for key, each in layer.named_parameters():
        start = CELLS[name].start.get(key.split(".", 1)[1], 0.0)
        peephole = family(key) == "P" and "peephole" in name
        if family(key) in ("U", "R") or peephole:
            assert_orthogonal(each)
        elif each.dim() > 1:
            # Glorot & Bengio 2010: uniform in ±√(6 / (rows + columns)).
            bound = math.sqrt(6 / sum(each.shape))
            assert each.abs().max() <= bound, key
            # None of n numbers above 0.9 of the bound has the chance 0.9^n: 3e-8 for 165.
            assert each.abs().max() > 0.9 * bound, key
            assert each.abs().mean().item() == pytest.approx(bound / 2, rel=0.2), key
        elif isinstance(start, tuple):
            assert start[0] <= each.min() < each.max() <= start[1], key
        elif isinstance(start, str):
            gates = each.sigmoid()
            assert 1 / H <= gates.min() < 0.2, key
            assert 0.8 < gates.max() <= 1 - 1 / H, key
        else:
            assert isinstance(start, float | int)
            assert torch.equal(each, torch.full_like(each, start)), key


@every_cell
def test_biases_that_begin_at_one_are_those_of_gates_that_remember(name: str) -> None:
    ones = {key for key, each in make(name).named_parameters() if (each == 1).all()}
    biases = {key.removeprefix("l0.") for key in ones if key.startswith("l0.b")}
    remembers = {key for key, sign in CELLS[name].keep.items() if sign > 0}
    along_depth = {"b.df"} if name == "grid_lstm" else set()
    assert biases <= remembers | along_depth
    if name.startswith("lstm"):  # Jozefowicz, Zaremba & Sutskever 2015: forget gates should
        assert biases == remembers


def _keeps_and_takes(name: str, bias: str | None) -> tuple[float, float]:
    """How much of the cell state (of h where there is none) stays after a step, and how much of the
    input comes into it; ``bias`` is raised by 3. All else is small: gates are what biases say."""
    layer = make(name, hidden=5)
    with torch.no_grad():
        for key, each in layer.named_parameters():
            if not key.startswith("l0.b"):
                each.mul_(0.1)
        if bias is not None:
            layer.get_parameter(f"l0.{bias}").add_(3.0)
    begin = {
        key: torch.full_like(each, 0.3).requires_grad_()
        for key, each in layer.start(1)._asdict().items()
    }
    x = torch.full((1, 1, 5), 0.3, dtype=torch.float64, requires_grad=True)
    after = layer(x, tuple(begin.values()))[1]
    memory = next(key for key in ("c", "m", "h") if key in begin)
    stays, comes = torch.autograd.grad(getattr(after, memory).sum(), [begin[memory], x])
    return stays.mean().item(), comes.abs().sum().item()


@every_cell
def test_what_cells_say_of_remembering_is_what_their_equations_do(name: str) -> None:
    """Chrono initialisation would be the wrong way round, silently, with a wrong sign."""
    layer, keep = make(name), CELLS[name].keep
    kept, taken = _keeps_and_takes(name, None)
    for key, each in layer.named_parameters():
        bias = key.removeprefix("l0.")
        if each.dim() > 1 or not bias.startswith("b"):
            continue
        more_kept, more_taken = _keeps_and_takes(name, bias)
        says = f"{name}: {bias} raised: {kept:.3f} of a state stays, then {more_kept:.3f}"
        if keep.get(bias) == 1:
            assert more_kept > kept or more_taken < taken, f"{says}; keep says +1"
        elif keep.get(bias) == -1:
            assert more_kept < kept or more_taken > taken, f"{says}; keep says -1"
        else:
            # By more than saturation does: this bias makes the cell remember.
            assert more_kept < kept + 0.1, f"{says}; add it to keep: {{{bias!r}: +1}}"


def test_irnn_begins_by_adding_up() -> None:
    """With states that are not negative and no input, an Elman network with relu copies its state;
    what reads the input is small."""
    layer = make("rnn_relu", init="irnn", hidden=100)
    state = torch.rand(1, 2, 100, dtype=torch.float64)
    output, _ = layer(torch.zeros(9, 2, 5, dtype=torch.float64), (state,))
    assert torch.equal(output, state.expand(9, 2, 100))
    # 500 numbers: a relative standard error of 0.03.
    assert layer.get_parameter("l0.W").std().item() == pytest.approx(0.001, rel=0.15)
    assert not layer.get_parameter("l0.b").any()
    with pytest.raises(SettingError, match=r"R of lstm_projected is \[20, 33\]"):
        make("lstm_projected", init="irnn")


@every_cell
def test_torch(name: str) -> None:
    bound = 1 / math.sqrt(H)
    numbers = []
    for key, each in make(name, init="torch", num_layers=2).named_parameters():
        assert each.abs().max() <= bound, key
        assert (each != 0).all(), key
        numbers.append(each.detach().flatten())
    every = torch.cat(numbers)
    # Uniform: the mean of n numbers is within 5 standard errors, bound / √(3n), of 0.
    assert every.mean().abs() < 5 * bound / math.sqrt(3 * len(every))
    assert every.max() > 0.99 * bound
    assert every.min() < -0.99 * bound


REMEMBERS = {  # the gates whose bias makes a cell remember longer, and those that go against it
    "lstm": ("b.f", "b.i"),
    "lstm_peephole": ("b.f", "b.i"),
    "lstm_projected": ("b.f", "b.i"),
    "lstm_coupled": ("b.f", None),
    "gru": ("b.z", None),
    "gru_reset_before": ("b.z", None),
}


@pytest.mark.parametrize(("name", "gates"), REMEMBERS.items(), ids=REMEMBERS)
def test_chrono(name: str, gates: tuple[str, str | None]) -> None:
    remember, take_in = gates
    longest, hidden = 100, 500
    layer = make(name, hidden=hidden, init="chrono", longest_dependency=longest)
    parameters = dict(layer.get_submodule("l0").named_parameters())
    spans = parameters[remember].exp()  # log U(1, T - 1)
    assert spans.min() >= 1
    assert spans.max() <= longest - 1
    # The mean of 500 numbers is within 5 standard errors, 98 / √(12 · 500), of 50.
    assert spans.mean().item() == pytest.approx(50, abs=5 * 98 / math.sqrt(12 * hidden))
    assert len(set(spans.tolist())) == hidden
    if take_in is not None:
        assert torch.equal(parameters[take_in], -parameters[remember])
    # All else begins as it does by default.
    for key, each in parameters.items():
        if each.dim() < 2 and key not in gates:
            assert torch.equal(each, torch.zeros_like(each)), key
        elif key[0] in "UR":
            assert_orthogonal(each)


def test_chrono_makes_the_cell_remember_for_as_long() -> None:
    # With gates closed to the input, lstm forgets as f^t and gru as z^t: f = σ(b.f) is about
    # 1 - 1/T for b.f = log(T - 1), so that 1/e is left after T steps.
    for name, gate in (("lstm", "f"), ("gru", "z")):
        layer = make(name, init="chrono", longest_dependency=784)
        _, _, trace = layer(torch.zeros(1, 1, 5).double(), trace=True)
        spans = 1 / (1 - trace[gate])
        assert spans.min() >= 2  # b = log 1 is a gate half open
        assert spans.max() <= 784
        assert spans.max() > 300


@pytest.mark.parametrize("name", ["rnn", "rnn_relu"])
def test_chrono_is_refused_where_nothing_remembers(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name} says of no bias that it sets how long"):
        make(name, init="chrono", longest_dependency=100)


def test_chrono_is_refused_without_biases() -> None:
    with pytest.raises(SettingError, match="lstm says of no bias"):
        make("lstm", bias=False, init="chrono", longest_dependency=100)


@pytest.mark.parametrize("longest", [2, 1, 0, -5])
def test_a_dependency_that_is_too_short_is_refused(longest: int) -> None:
    with pytest.raises(
        SettingError, match=rf"longest_dependency is {longest}; expected a whole number from 3"
    ):
        make("lstm", init="chrono", longest_dependency=longest)


@pytest.mark.parametrize(
    "given",
    [
        {"longest_dependency": 100},
        {"init": "torch", "longest_dependency": 100},
        {"init": "chrono"},
    ],
    ids=str,
)
def test_chrono_and_its_dependency_go_together(given: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="init='chrono' and longest_dependency go together"):
        make("lstm", **given)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"init is 'crono'\. Did you mean 'chrono'\?"):
        make("lstm", init="crono")
    with pytest.raises(SettingError, match=r"init is 'Torch'\. Did you mean 'torch'\?"):
        make("lstm", init="Torch")
    with pytest.raises(
        SettingError, match=r"init is 'zeros'\. There are: chrono, default, irnn, torch"
    ):
        make("lstm", init="zeros")


@pytest.mark.parametrize("init", ["default", "torch", "chrono"])
def test_the_same_seed_gives_the_same_values(init: str) -> None:
    longest = 100 if init == "chrono" else None
    one, same, other = (
        make("lstm", seed=seed, num_layers=2, init=init, longest_dependency=longest)
        for seed in (0, 0, 1)
    )
    assert_equal(one.state_dict(), same.state_dict())
    for key, each in other.named_parameters():
        if family(key) in ("W", "U"):
            assert not torch.equal(each, one.get_parameter(key)), key


def test_layers_and_directions_begin_differently() -> None:
    layer = make("lstm", num_layers=3, bidirectional=True)
    matrices = [each for key, each in layer.named_parameters() if family(key) == "U"]
    assert len({tuple(each.flatten().tolist()) for each in matrices}) == 3 * 2 * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("init", ["default", "torch", "chrono"])
def test_in_every_type(init: str, dtype: torch.dtype) -> None:
    longest = 100 if init == "chrono" else None
    layer = make("lstm", init=init, longest_dependency=longest, dtype=dtype)
    for key, each in layer.named_parameters():
        assert each.dtype == dtype, key
        assert each.isfinite().all(), key
    output, _ = layer(torch.ones(4, 2, 5, dtype=dtype))
    assert output.dtype == dtype
    assert output.isfinite().all()


def test_on_a_device_without_memory() -> None:
    layer = make("lstm", device="meta")
    assert {each.device.type for each in layer.parameters()} == {"meta"}


def test_drawing_leaves_no_trace_of_gradients() -> None:
    for each in make("lstm").parameters():
        assert each.is_leaf
        assert each.requires_grad


# A user's own start values -----------------------------------------------------------------------


@cell(start={"b.f": 2.0, "p": 0.5})
def with_starts(x: Input, h: State, W: Matrix, U: Matrix, p: Vector, b: Bias) -> Value:
    """A bias and a vector that begin elsewhere."""
    h = tanh(W @ x + U @ h + p * h + b.f + b.g)
    return h


def test_a_cells_own_start_values() -> None:
    parameters = dict(conveyor.Recurrent(with_starts, 2, 3).get_submodule("l0").named_parameters())
    assert parameters["b.f"].tolist() == [2.0] * 3
    assert parameters["b.g"].tolist() == [0.0] * 3
    assert parameters["p"].tolist() == [0.5] * 3


def test_a_start_value_of_a_matrix_is_used_or_refused() -> None:
    def identity(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
        h = tanh(W @ x + U @ h)
        return h

    try:
        own = cell(start={"U": 0.25})(identity)
        matrix = conveyor.Recurrent(own, 2, 3).get_parameter("l0.U")
    except (CellError, SettingError) as error:
        assert "U" in str(error)  # noqa: PT017  (either answer is right; silence is not)
    else:
        assert torch.equal(matrix, torch.full((3, 3), 0.25))


def test_the_same_seed_begins_the_same_with_any_number_of_threads() -> None:
    before = torch.get_num_threads()
    made = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            made.append(dict(conveyor.Recurrent("lstm", 20, 155).named_parameters()))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for other in made[1:]:
        for name, each in made[0].items():
            assert torch.equal(each, other[name]), name
