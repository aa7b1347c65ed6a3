"""A parameter that is not exactly as needed raises, at every call: machine code would read and
write beside it."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrize, prune

import conveyor
from conveyor.errors import SettingError, ShapeError
from tests.layers.named import draw

LAYERS: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: conveyor.LSTM(6, 5),
    "LSTM of two layers and directions": lambda: conveyor.LSTM(6, 5, 2, bidirectional=True),
    "LSTM projected": lambda: conveyor.LSTM(6, 5, proj_size=3),
    "GRU": lambda: conveyor.GRU(6, 5),
    "RNN": lambda: conveyor.RNN(6, 5, bias=False),
    "Recurrent": lambda: conveyor.Recurrent("rnn", 6, 5, 2, bidirectional=True),
    "peepholes": lambda: conveyor.Recurrent("lstm_peephole", 6, 5),
    "learned start": lambda: conveyor.Recurrent("lstm", 6, 5, learn_start=True),
    "checkpointed": lambda: conveyor.GRU(6, 5, checkpoint=2),
}

pruned: Any = prune.random_unstructured


def other_shapes(shape: torch.Size) -> Iterator[tuple[int, ...]]:
    """Yield shapes that differ: taller, shorter, wider, narrower, of other dimensions."""
    for axis in range(len(shape)):
        for size in (1, shape[axis] - 1, shape[axis] + 1, 3 * shape[axis]):
            if size not in (0, shape[axis]):
                yield (*shape[:axis], size, *shape[axis + 1 :])
    yield (*shape, 1)
    yield ()
    if len(shape) > 1:
        yield shape[:1]
        yield shape[::-1] if shape[0] != shape[1] else (shape[0] * shape[1],)


def calls(layer: Any) -> dict[str, Callable[[], Any]]:
    """Return the ways to run a layer."""
    x = draw(7, 2, 6).float()

    def without_gradients() -> Any:
        with torch.no_grad():
            return layer(x)

    ways: dict[str, Callable[[], Any]] = {
        "training": lambda: layer(x),
        "replayed": without_gradients,
        "lengths": lambda: layer(x, lengths=[7, 3]),
        "reset": lambda: layer(x, reset=torch.zeros(7, 2, dtype=torch.bool)),
        "trace": lambda: layer(x, trace=True),
        "packed": lambda: layer(nn.utils.rnn.pack_padded_sequence(x, [7, 3])),
    }
    if not layer.bidirectional:
        ways |= {"step": lambda: layer.step(x[0]), "stream": layer.stream}
    return ways


@pytest.mark.parametrize("before", [False, True], ids=["at the first call", "after a call"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_parameter_of_another_shape(name: str, before: bool) -> None:
    layer = LAYERS[name]()
    ways = calls(layer)
    if before:
        for call in ways.values():
            call()
    for path, parameter in list(layer.named_parameters()):
        holder, _, leaf = path.rpartition(".")
        module = layer.get_submodule(holder)
        for number, shape in enumerate(other_shapes(parameter.shape)):
            setattr(module, leaf, nn.Parameter(torch.randn(shape)))
            # All ways with one of the shapes; with the others one way in turn.
            chosen = list(ways.items())
            chosen = chosen if number == 0 else [chosen[number % len(chosen)]]
            for how, call in chosen:
                with pytest.raises(ShapeError) as raised:
                    call()
                text = str(raised.value)
                assert path in text, (how, text)
                assert str(list(shape)) in text, (how, text)
                assert str(list(parameter.shape)) in text, (how, text)
        setattr(module, leaf, parameter)
    ways["training"]()


def test_on_the_reference_target() -> None:
    with conveyor.use_target("reference"):
        layer = conveyor.LSTM(6, 5)
        ways = calls(layer)
        del ways["stream"]  # which is machine code
        for change in (torch.randn(3, 5), torch.randn(30, 5), torch.randn(20, 4)):
            layer.weight_hh_l0 = nn.Parameter(change)
            for call in ways.values():
                with pytest.raises(ShapeError, match="weight_hh_l0 is"):
                    call()


def test_on_the_native_target() -> None:
    layer = conveyor.LSTM(6, 5)
    layer.weight_hh_l0 = nn.Parameter(torch.randn(30, 5))
    with conveyor.use_target("native"), pytest.raises(ShapeError, match="weight_hh_l0 is"):
        layer(draw(7, 2, 6).float())


def test_by_data_pruning_parametrisation_and_functional_call() -> None:
    x = draw(7, 2, 6).float()

    class Taller(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return torch.cat([weight, weight])

    layer = conveyor.LSTM(6, 5)
    layer(x)
    layer.weight_hh_l0.data = torch.randn(3, 5)
    with pytest.raises(ShapeError, match=r"weight_hh_l0 is \[3, 5\]; expected \[20, 5\]"):
        layer(x)
    layer = conveyor.LSTM(6, 5)
    layer(x)
    pruned(layer, "bias_hh_l0", 0.5)
    layer(x)
    layer.bias_hh_l0_orig.data = torch.randn(50)
    layer.bias_hh_l0_mask = torch.ones(50)
    with pytest.raises(ShapeError, match=r"bias_hh_l0 is \[50\]; expected \[20\]"):
        layer(x)
    layer = conveyor.LSTM(6, 5)
    layer(x)
    parametrize.register_parametrization(layer, "weight_ih_l0", Taller(), unsafe=True)
    with pytest.raises(ShapeError, match=r"weight_ih_l0 is \[40, 6\]; expected \[20, 6\]"):
        layer(x)
    layer = conveyor.LSTM(6, 5)
    layer(x)
    with pytest.raises(ShapeError, match=r"bias_ih_l0 is \[3\]; expected \[20\]"):
        functional_call(layer, {"bias_ih_l0": torch.randn(3)}, (x,))


def test_a_parameter_that_is_missing() -> None:
    x = draw(7, 2, 6).float()
    layer = conveyor.LSTM(6, 5, 2)
    layer(x)
    layer.bias_hh_l1 = None
    with pytest.raises(ShapeError, match="no parameter bias_hh_l1"):
        layer(x)
    stack = conveyor.Recurrent("gru", 6, 5)
    stack(x)
    stack.num_layers = 2
    with pytest.raises(ShapeError, match=r"no parameter l1\.W\.r"):
        stack(x)


def without_units(layer: nn.RNNBase, kept: int, gates: int) -> None:
    """Remove a layer's last units by hand, as a user would."""
    hidden = layer.hidden_size
    layer.hidden_size = kept
    for name, parameter in list(layer.named_parameters()):
        weight = parameter.data.view(gates, hidden, *parameter.shape[1:])[:, :kept]
        if name.startswith("weight_hh"):
            weight = weight[..., :kept]
        setattr(layer, name, nn.Parameter(weight.flatten(0, 1).clone()))


@pytest.mark.parametrize("before", [False, True], ids=["at the first call", "after a call"])
def test_units_removed_by_hand(before: bool) -> None:
    x = draw(7, 2, 6).float()
    layer = conveyor.LSTM(6, 5)
    if before:
        for call in calls(layer).values():
            call()
    without_units(layer, 4, gates=4)
    fresh = conveyor.LSTM(6, 4)
    fresh.load_state_dict(layer.state_dict())
    for gradients in (True, False, False):
        with torch.set_grad_enabled(gradients):
            for got, want in zip(layer(x)[1], fresh(x)[1], strict=True):
                torch.testing.assert_close(got, want, rtol=0, atol=0)
    assert layer.start(2)[0].shape == (1, 2, 4)
    assert layer.stream()(x[0, 0].numpy()).shape == (4,)


def test_units_of_a_recurrent_layer_removed_by_hand() -> None:
    x = draw(7, 2, 6).float()
    layer: Any = conveyor.Recurrent("rnn", 6, 5)
    layer(x)
    layer.hidden_size = 4
    for path, parameter in list(layer.l0.named_parameters()):
        weight = parameter.data[:4, :4] if path == "U" else parameter.data[:4]
        setattr(layer.l0, path, nn.Parameter(weight.clone()))
    assert layer.output_size == 4
    assert layer(x)[0].shape == (7, 2, 4)


def test_units_removed_by_hand_where_a_cell_has_more_sizes() -> None:
    x = draw(7, 2, 6).float()
    layer: Any = conveyor.Recurrent("lstm_projected", 6, 5, sizes={"P": 3})
    layer.hidden_size = 4
    smaller = conveyor.Recurrent("lstm_projected", 6, 4, sizes={"P": 3})
    layer.l0 = smaller.l0
    assert layer.sizes == {"H": 4, "P": 3}
    assert torch.equal(layer(x)[0], smaller(x)[0])


def test_layers_taken_away_by_hand() -> None:
    x = draw(7, 2, 6).float()
    layer = conveyor.LSTM(6, 5, 2)
    one = conveyor.LSTM(6, 5)
    one.load_state_dict({n: p for n, p in layer.state_dict().items() if "_l0" in n})
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            layer.num_layers = 2
            assert layer(x)[1][0].shape == (2, 2, 5)
            layer.num_layers = 1
            torch.testing.assert_close(layer(x)[0], one(x)[0], rtol=0, atol=0)


def test_a_copy_has_sizes_of_its_own() -> None:
    x = draw(7, 2, 6).float()
    layer = conveyor.LSTM(6, 5)
    layer(x)
    smaller = copy.deepcopy(layer)
    without_units(smaller, 4, gates=4)
    assert smaller(x)[0].shape == (7, 2, 4)
    assert layer(x)[0].shape == (7, 2, 5)


def test_what_changes_between_the_passes() -> None:
    """``.data`` is what torch does not watch."""
    x = draw(7, 2, 6).float()

    def ran(change: Callable[[Any, Tensor], None]) -> None:
        layer, leaf = conveyor.LSTM(6, 5), x.clone().requires_grad_()
        output, _ = layer(leaf)
        change(layer, leaf)
        output.sum().backward()

    def shorter_input(layer: Any, leaf: Tensor) -> None:
        leaf.data = torch.randn(3, 2, 6)

    def smaller_weight(layer: Any, leaf: Tensor) -> None:
        layer.weight_hh_l0.data = torch.randn(4, 5)

    for change in (shorter_input, smaller_weight):
        with pytest.raises(ShapeError, match="the backward pass reads is"):
            ran(change)

    def double_weight(layer: Any, leaf: Tensor) -> None:
        layer.weight_hh_l0.data = layer.weight_hh_l0.data.double()

    with pytest.raises(ShapeError, match="float64"):
        ran(double_weight)


def test_hooks_of_saved_tensors() -> None:
    """They may give back tensors elsewhere, with other strides."""
    layer, x = conveyor.LSTM(6, 5), draw(7, 2, 6).float().requires_grad_()
    (want,) = torch.autograd.grad(layer(x)[0].sum(), x)

    def unpacked(stored: Tensor) -> Tensor:
        return stored.float().movedim(0, -1).contiguous().movedim(-1, 0)

    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.double(), unpacked):
        output = layer(x)[0]
    (got,) = torch.autograd.grad(output.sum(), x)
    torch.testing.assert_close(got, want, rtol=0, atol=0)


def test_of_a_grid() -> None:
    for dimensions, shape in ((1, (2, 6)), (3, (2, 3, 2, 6))):
        grid: Any = conveyor.GridLSTM(6, 5, dimensions=dimensions)
        x = torch.randn(shape)
        grid(x)
        for path, parameter in list(grid.blocks[0].named_parameters()):
            family, _, gate = path.partition(".")
            holder = grid.blocks[0].get_submodule(family)
            for other in other_shapes(parameter.shape):
                setattr(holder, gate, nn.Parameter(torch.randn(other)))
                with pytest.raises(ShapeError, match=re.escape(path)):
                    grid(x)
            setattr(holder, gate, parameter)


def test_of_layers_made_of_layers() -> None:
    x = draw(7, 2, 6).float()
    for layer in (
        conveyor.Heads("lstm", 6, 4, 2),
        conveyor.Stacked("lstm", 6, [4, 5]),
        conveyor.Clockwork(6, 5, (1, 2)),
    ):
        layer(x)
        for path, parameter in list(layer.named_parameters()):
            holder, _, leaf = path.rpartition(".")
            module = layer.get_submodule(holder)
            setattr(module, leaf, nn.Parameter(torch.randn(2 * len(parameter), 3)))
            with pytest.raises(ShapeError, match="expected"):
                layer(x)
            setattr(module, leaf, parameter)
        layer(x)


@pytest.mark.parametrize("change", ["parameter", "hidden_size", "num_layers"])
def test_under_the_compiler(change: str) -> None:
    torch._dynamo.reset()
    layer, x = conveyor.LSTM(6, 5, 2), draw(7, 2, 6).float()
    fast = torch.compile(layer, backend="eager")
    fast(x)
    if change == "parameter":
        layer.weight_hh_l0 = nn.Parameter(torch.randn(3, 5))
    elif change == "hidden_size":
        layer.hidden_size = 4
    else:
        layer.num_layers = 3
    with pytest.raises(ShapeError, match=r"expected \[|no parameter weight_ih_l2"):
        fast(x)
    torch._dynamo.reset()


SIZES_BY_HAND: dict[str, tuple[Callable[[], Any], list[tuple[str, Any]]]] = {
    "LSTM": (
        lambda: conveyor.LSTM(6, 5, 2),
        [
            *(("num_layers", wrong) for wrong in (0, -1, None, 1.5, True)),
            *(("hidden_size", wrong) for wrong in (0, 6.0, "5")),
            *(("input_size", 0), ("bias", False), ("proj_size", 3), ("proj_size", -1)),
        ],
    ),
    "LSTM projected": (
        lambda: conveyor.LSTM(6, 5, proj_size=3),
        [("proj_size", 0), ("proj_size", 2.5)],
    ),
    "Recurrent": (
        lambda: conveyor.Recurrent("lstm_projected", 6, 5, sizes={"P": 3}),
        [
            *(("sizes", wrong) for wrong in ({"P": 9}, {"H": 5}, {"H": 5, "P": "3"}, 3, None)),
            *(("hidden_size", 0), ("bias", False)),
        ],
    ),
}


@pytest.mark.parametrize("name", SIZES_BY_HAND)
def test_sizes_that_a_layer_cannot_have(name: str) -> None:
    make, changes = SIZES_BY_HAND[name]
    x = draw(7, 2, 6).float()
    for size, value in changes:
        layer = make()
        want = layer(x)[0]
        with pytest.raises(SettingError, match=size[:4]):
            setattr(layer, size, value)
        assert torch.equal(layer(x)[0], want)


def test_a_start_that_was_never_learned() -> None:
    layer = conveyor.LSTM(6, 5)
    layer.learn_start = True
    for call in (layer.start, layer.stream, lambda: layer(draw(7, 2, 6).float())):
        with pytest.raises(ShapeError, match="no parameter start_h"):
            call()


def test_the_projection_below_a_grid() -> None:
    x = torch.randn(6, 6, 2, 4)
    for shape in ((4, 4), (5, 4), (1, 4), (7, 4), (6, 3), (6,), ()):
        grid = conveyor.GridLSTM(4, 3)
        grid(x)
        grid.below.weight.data = torch.randn(shape)
        for gradients in (True, False):
            with torch.set_grad_enabled(gradients), pytest.raises(ShapeError) as raised:
                grid(x)
            assert f"below.weight is {list(shape)}; expected [6, 4]" in str(raised.value)
    grid = conveyor.GridLSTM(4, 3, 2)
    grid.num_layers = 3
    with pytest.raises(ShapeError, match=r"no parameter blocks\.2"):
        grid(x)
