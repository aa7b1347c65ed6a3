"""Networks saved and loaded: what comes back is what was saved, to the bit."""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import conveyor
from conveyor import CELLS, networks
from conveyor.cells import Input, State, Value, cell
from conveyor.data.synthetic import Batch
from conveyor.networks.composed_modules import COMPOSED_MODULES
from conveyor.networks.described import CONTAINERS
from conveyor.networks.encoder_decoder import Bridge
from conveyor.networks.own_modules import OWN_MODULES
from conveyor.networks.picture_decoder import PictureStart
from conveyor.networks.readout import Readout
from conveyor.networks.torch_modules import TORCH_MODULES
from tests.layers.named import Named, assert_equal, draw, gradients, leaf, loss_of, run
from tests.table import MIDDLING, Case, make_input, make_layer, make_state

T, B, INPUTS = 6, 3, 4


@pytest.fixture(scope="module", autouse=True)
def on_the_reference() -> Iterator[None]:
    """Files hold programs and numbers and no machine code, which would be most of the time."""
    with conveyor.use_target("reference"):
        yield


def flat(thing: Any) -> list[Tensor]:
    """The tensors of an output, a state, or states in tuples of tuples."""
    if isinstance(thing, Tensor):
        return [thing]
    return [] if not isinstance(thing, tuple | list) else list(chain(*map(flat, thing)))


def observed(module: nn.Module, *inputs: Any, **options: Any) -> Named:
    """All that comes out of a module, and the gradient of each parameter and of the input."""
    first, *more = inputs
    real = isinstance(first, Tensor) and first.dtype.is_floating_point
    first = leaf(first) if real else first
    results = {str(n): each for n, each in enumerate(flat(module(first, *more, **options)))}
    sources: Named = {n: each for n, each in module.named_parameters() if each.requires_grad}
    sources |= {"input": first} if real else {}
    values = {name: each.detach() for name, each in results.items()}
    return {**values, **(gradients(loss_of(results), sources) if sources else {})}


def again(module: nn.Module, folder: Path) -> Any:
    """What is loaded of a module that was saved; its numbers, types and names are the same."""
    conveyor.save(module, folder)
    loaded = conveyor.load(folder)
    assert type(loaded) is type(module)
    assert repr(loaded) == repr(module)
    assert_equal(loaded.state_dict(), module.state_dict())
    types = [{n: each.dtype for n, each in of.state_dict().items()} for of in (loaded, module)]
    assert types[0] == types[1]
    trained = [{n: p.requires_grad for n, p in of.named_parameters()} for of in (loaded, module)]
    assert trained[0] == trained[1]
    assert not any(each.training for each in loaded.modules())
    assert not any(each.is_meta for each in (*loaded.parameters(), *loaded.buffers()))
    assert isinstance(loaded, nn.Module)
    return loaded


def randomised(module: nn.Module) -> nn.Module:
    """The module with other numbers than those that it begins with, buffers included."""
    source = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for each in module.state_dict(keep_vars=True).values():
            if each.dtype.is_floating_point:
                each.copy_(torch.rand(each.shape, generator=source, dtype=torch.float64) / 2 + 0.1)
            else:
                each.fill_(7)
    return module


# Every cell and every option -----------------------------------------------------------------


@pytest.mark.parametrize("case", MIDDLING, ids=str)
def test_every_cell_is_the_same_after_loading(case: Case, tmp_path: Path) -> None:
    layer = make_layer(case, num_layers=2)
    loaded = again(layer, tmp_path)
    x, state = make_input(case), make_state(case, layer)
    assert_equal(run(loaded, x, state), run(layer.eval(), x, state))
    assert isinstance(loaded, conveyor.Recurrent)
    states: list[Any] = [None, None]
    for x_t in x:
        (y, states[0]), (want, states[1]) = layer.step(x_t, states[0]), loaded.step(x_t, states[1])
        torch.testing.assert_close(y, want, rtol=0, atol=0)
    for own, want in zip(states[0], states[1], strict=True):
        torch.testing.assert_close(own, want, rtol=0, atol=0)


def test_all_built_in_cells_are_among_them() -> None:
    assert {case.cell for case in MIDDLING} == set(CELLS)


OPTIONS: dict[str, dict[str, Any]] = {
    "bidirectional": {"bidirectional": True},
    "two layers": {"num_layers": 2},
    "no bias": {"bias": False},
    "batch first": {"batch_first": True},
    "dropout": {"dropout": 0.3, "num_layers": 2},
    "learned start": {"learn_start": True},
    "checkpoint": {"checkpoint": True},
    "checkpoint of two": {"checkpoint": 2},
    "all": {
        "bidirectional": True,
        "num_layers": 2,
        "bias": False,
        "batch_first": True,
        "dropout": 0.3,
        "learn_start": True,
        "checkpoint": 3,
    },
}


def relu(inputs: int, units: int, **options: Any) -> nn.Module:
    """An Elman network with the other nonlinearity."""
    return conveyor.RNN(inputs, units, **{"nonlinearity": "relu", **options})


def projected(inputs: int, units: int, **options: Any) -> nn.Module:
    """An LSTM with a projection."""
    return conveyor.LSTM(inputs, units, **{"proj_size": 2, **options})


DROP_INS: dict[str, Callable[..., nn.Module]] = {
    "RNN": conveyor.RNN,
    "RNN relu": relu,
    "LSTM": conveyor.LSTM,
    "LSTM projected": projected,
    "GRU": conveyor.GRU,
}


def same_in_training(layer: nn.Module, loaded: nn.Module, *inputs: Any, **options: Any) -> None:
    """Also what is drawn in training is the same."""
    found = []
    for each in (loaded, layer):
        each.train()
        torch.manual_seed(3)
        found.append(observed(each, *inputs, **options))
    assert_equal(*found)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", DROP_INS)
def test_drop_in_layers(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    layer = randomised(DROP_INS[name](INPUTS, 5, dtype=torch.float64, **options))
    loaded = again(layer, tmp_path)
    with conveyor.use_target(None):  # the programs are few: also in machine code
        same_in_training(layer, loaded, draw(T, B, INPUTS))
    for option in ("checkpoint", "learn_start", "dropout", "proj_size", "mode", "bias"):
        assert getattr(loaded, option) == getattr(layer, option)


def test_a_layer_that_came_from_torch(tmp_path: Path) -> None:
    layer = conveyor.replace(nn.LSTM(INPUTS, 5, 2))
    loaded = again(layer, tmp_path)
    assert isinstance(loaded, conveyor.LSTM)
    x = draw(T, B, INPUTS, dtype=torch.float32)
    torch.testing.assert_close(conveyor.restore(loaded)(x)[0], layer(x)[0])


REGULARISED: dict[str, dict[str, Any]] = {
    **OPTIONS,
    "sum": {"bidirectional": True, "merge": "sum", "num_layers": 2},
    "separate": {"bidirectional": True, "merge": "separate", "num_layers": 2},
    "zoneout": {"zoneout": 0.2},
    "zoneout by name": {"zoneout": {"c": 0.5, "h": 0.05}},
    "recurrent dropout": {"recurrent_dropout": {"g": 0.25, "o": 0.1}},
    "variational dropout": {"variational_dropout": 0.3, "num_layers": 2},
    "weight dropout": {"weight_dropout": 0.3},
    "clip": {"clip": {"c": 0.25, "h": 1}},
    "many": {
        "zoneout": {"h": 0.2},
        "recurrent_dropout": {"g": 0.25},
        "variational_dropout": 0.3,
        "weight_dropout": 0.2,
        "clip": {"c": 0.25},
        "bias": False,
        "num_layers": 2,
    },
    "chrono": {"init": "chrono", "longest_dependency": 20},
}


@pytest.mark.parametrize("options", REGULARISED.values(), ids=REGULARISED)
def test_a_layer_with_each_option(options: dict[str, Any], tmp_path: Path) -> None:
    layer = randomised(conveyor.Recurrent("lstm", INPUTS, 5, dtype=torch.float64, **options))
    loaded = again(layer, tmp_path)
    assert isinstance(layer, conveyor.Recurrent)
    assert isinstance(loaded, conveyor.Recurrent)
    x = draw(T, B, INPUTS)
    same_in_training(layer, loaded, x)
    assert_equal(observed(loaded.eval(), x), observed(layer.eval(), x))
    assert loaded.checkpoint == layer.checkpoint
    assert loaded.program == layer.program


def test_rates_that_were_changed_afterwards_are_not_those_of_the_layer(tmp_path: Path) -> None:
    rates = {"g": 0.25}
    layer = conveyor.Recurrent("lstm", INPUTS, 5, recurrent_dropout=rates)
    rates["g"] = 0.75
    same_in_training(layer, again(layer, tmp_path), draw(T, B, INPUTS, dtype=torch.float32))


def test_options_that_were_set_afterwards_are_kept(tmp_path: Path) -> None:
    layer = conveyor.Recurrent("lstm", INPUTS, 5, 2)
    layer.dropout, layer.checkpoint, layer.batch_first = 0.5, 2, True
    loaded = again(layer, tmp_path)
    assert (loaded.dropout, loaded.checkpoint, loaded.batch_first) == (0.5, 2, True)


# Our other layers ----------------------------------------------------------------------------

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "stacked": lambda: conveyor.Stacked("lstm", INPUTS, [5, 5]),
    "residual": lambda: conveyor.Stacked("gru", INPUTS, [5, 6, 6], around="residual", dropout=0.2),
    "highway": lambda: conveyor.Stacked(
        ["lstm", "gru", "lstm_projected"],
        INPUTS,
        [5, 6, 7],
        around="highway",
        sizes=[None, None, {"P": 3}],
        zoneout=[{"c": 0.2}, 0.1, 0],
        bidirectional=[True, False, True],
        merge=["sum", "concatenate", "concatenate"],
        batch_first=True,
        bias=False,
        learn_start=True,
    ),
    "one": lambda: conveyor.Stacked("rnn", INPUTS, [5], around="highway"),
    "heads": lambda: conveyor.Heads("slstm", INPUTS, 6, 3, learn_start=True),
    "heads with options": lambda: conveyor.Heads(
        "lstm", INPUTS, 6, 2, zoneout=0.2, clip={"c": 0.3}, batch_first=True, bidirectional=True
    ),
    "clockwork": lambda: conveyor.Clockwork(INPUTS, 7, (1, 2, 4)),
    "clockwork of LSTMs": lambda: conveyor.Clockwork(
        INPUTS, 7, [1, 3], cell="lstm", batch_first=True
    ),
    "grid": lambda: conveyor.GridLSTM(INPUTS, 5, 2, dimensions=1),
    "grid with options": lambda: conveyor.GridLSTM(
        INPUTS, 5, 3, dimensions=1, tied=True, output="inside"
    ),
    "depth": lambda: conveyor.Recurrent("lstm_depth_gated", INPUTS, 5, 3),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_our_layers(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    layer = randomised(LAYERS[name]()).to(dtype)
    loaded = again(layer, tmp_path)
    same_in_training(layer, loaded, draw(T, B, INPUTS, dtype=dtype))


def test_a_grid_of_three_dimensions(tmp_path: Path) -> None:
    layer = randomised(conveyor.GridLSTM(INPUTS, 5, 2, priority=True))
    loaded = again(layer, tmp_path)
    same_in_training(layer, loaded, draw(2, 3, B, INPUTS, dtype=torch.float32))


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("wanted", ["numbers", "class", "symbols"])
def test_readouts(wanted: str, last: bool, tmp_path: Path) -> None:
    network = Readout(
        "gru", INPUTS, 5, 2, wanted=wanted, last=last, dropout=0.2, num_layers=2, zoneout=0.1
    )
    loaded = again(network, tmp_path)
    assert isinstance(loaded, Readout)
    assert (loaded.wanted, loaded.last, loaded.head.dropout) == (wanted, last, 0.2)
    network.head.dropout = 0.7  # by hand, of the head alone
    assert again(network, tmp_path).head.dropout == 0.7
    loaded.head.dropout = 0.7
    batch = Batch(draw(T, B, INPUTS, dtype=torch.float32), torch.zeros(B), torch.tensor([T, 2, 3]))
    same_in_training(network, loaded, batch)


PARTS: dict[str, Callable[[], nn.Module]] = {
    "numbers": lambda: networks.NumberHead(INPUTS, 2, dropout=0.3),
    "class": lambda: networks.ClassHead(INPUTS, 3),
    "labels": lambda: networks.LabelHead(INPUTS, 3, dropout=0.3),
    "on and off": lambda: networks.BernoulliHead(INPUTS, 3, dropout=0.3),
    "normal": lambda: networks.GaussianHead(INPUTS, 3, narrowest=0.2, dropout=0.3),
    "pen": lambda: networks.PenHead(INPUTS, 3, narrowest=0.2, dropout=0.3),
    "prenet": lambda: networks.PreNet(INPUTS, 5, dropout=0.3),
    "quantiles": lambda: networks.QuantileHead(INPUTS, 2, (0.05, 0.2, 0.5, 0.9), dropout=0.3),
    "crf": lambda: networks.CRF(INPUTS),
    "encoder": lambda: networks.Encoder(conveyor.GRU(INPUTS, 5)),
    "encoder of a projection": lambda: networks.Encoder(
        conveyor.Stacked("gru", 3, [5, 4], batch_first=True), nn.Linear(INPUTS, 3), pooling="mean"
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts(name: str, tmp_path: Path) -> None:
    part = randomised(PARTS[name]())
    same_in_training(part, again(part, tmp_path), draw(T, B, INPUTS, dtype=torch.float32))


def test_parts_put_together(tmp_path: Path) -> None:
    embedding = networks.Embedding(7, 3, dropout=0.4)
    encoders = [
        networks.Encoder(conveyor.Recurrent("mgu", 3, 5, bidirectional=True), embedding),
        networks.Encoder(
            conveyor.LSTM(6, 5), nn.Sequential(embedding, nn.Linear(3, 6)), pooling="max"
        ),
    ]
    loaded = again(nn.ModuleDict({"a": encoders[0], "b": encoders[1]}), tmp_path)
    assert loaded["b"].embedding[0].weight is loaded["a"].embedding.weight
    symbols = torch.tensor([[1, 6, 0], [2, 2, 3]])
    for encoder, name in zip(encoders, "ab", strict=True):
        same_in_training(encoder, loaded[name], symbols, lengths=torch.tensor([2, 1, 2]))


def test_each_class_of_ours_is_tried_here() -> None:
    tried = {type(make()) for make in (*LAYERS.values(), *PARTS.values())}
    tried |= {type(make(1, 3)) for make in DROP_INS.values()}
    tried |= {Readout, networks.Embedding}
    # In test_attention.py.
    tried |= {networks.Attention, networks.LuongDecoder, networks.BahdanauDecoder}
    tried |= {Bridge, networks.EncoderDecoder}
    # In test_word_parts.py.
    tried |= {networks.WordEmbedding, networks.Noise, networks.AttentionPooling}
    tried |= {networks.ComposedWords}
    # In test_latent_sequences.py.
    tried |= {networks.VRNN, networks.STORN, networks.NextStep}
    # In test_draw.py.
    tried |= {networks.DRAW, networks.WindowHead}
    # In test_frame_augmentation.py.
    tried |= {networks.FrameAugmentation}
    # In test_picture_parts.py.
    tried |= {networks.PictureEncoder, networks.PictureDecoder, PictureStart}
    # In test_video_parts.py.
    tried |= {networks.VideoEncoder, networks.S2VT}
    assert tried == {*OWN_MODULES, *COMPOSED_MODULES}


# torch's modules -----------------------------------------------------------------------------

ROWS, SERIES, PICTURES = draw(6, 4), draw(3, 4, 8), draw(2, 4, 6, 8)
INDICES = torch.tensor([[1, 2, 0], [4, 1, 3]])

# Each with arguments that are not the usual ones where it has some, and with the usual ones.
MODULES: list[tuple[Callable[[], nn.Module], Tensor]] = [
    (nn.Identity, ROWS),
    (lambda: nn.Linear(4, 3), ROWS),
    (lambda: nn.Linear(4, 3, bias=False), ROWS),
    (lambda: nn.Embedding(5, 3), INDICES),
    (
        lambda: nn.Embedding(
            5, 3, padding_idx=1, max_norm=0.5, norm_type=1.0, scale_grad_by_freq=True
        ),
        INDICES,
    ),
    (lambda: nn.Embedding(5, 3, padding_idx=-1, sparse=True), INDICES),
    (lambda: nn.Dropout(0.3), ROWS),
    (lambda: nn.Dropout1d(0.3), SERIES),
    (lambda: nn.Dropout2d(0.3), PICTURES),
    (lambda: nn.AlphaDropout(0.3), ROWS),
    (lambda: nn.FeatureAlphaDropout(0.3), SERIES),
    (lambda: nn.LayerNorm(4), ROWS),
    (lambda: nn.LayerNorm((4, 8), eps=0.1, bias=False), SERIES),
    (lambda: nn.LayerNorm(4, elementwise_affine=False), ROWS),
    (lambda: nn.RMSNorm(4), ROWS),
    (lambda: nn.RMSNorm([4, 8], eps=0.1, elementwise_affine=False), SERIES),
    (lambda: nn.GroupNorm(2, 4, eps=0.1), SERIES),
    (lambda: nn.GroupNorm(2, 4, affine=False), SERIES),
    (lambda: nn.BatchNorm1d(4), ROWS),
    (lambda: nn.BatchNorm1d(4, eps=0.1, momentum=None), ROWS),
    (lambda: nn.BatchNorm1d(4, affine=False, track_running_stats=False), SERIES),
    (lambda: nn.BatchNorm2d(4, momentum=0.3), PICTURES),
    (lambda: nn.InstanceNorm1d(4), SERIES),
    (lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), SERIES),
    (lambda: nn.InstanceNorm2d(4, eps=0.1), PICTURES),
    (lambda: nn.Conv1d(4, 6, 3), SERIES),
    (
        lambda: nn.Conv1d(4, 6, 3, 2, 2, 2, groups=2, bias=False, padding_mode="circular"),
        SERIES,
    ),
    (lambda: nn.Conv1d(4, 6, 3, padding="same"), SERIES),
    (lambda: nn.Conv2d(4, 6, (2, 3), padding=(1, 0), padding_mode="reflect"), PICTURES),
    (lambda: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2, bias=False), SERIES),
    (lambda: nn.MaxPool1d(2), SERIES),
    (lambda: nn.MaxPool1d(3, 2, 1, 2, return_indices=True, ceil_mode=True), SERIES),
    (lambda: nn.MaxPool2d((2, 3), padding=(0, 1)), PICTURES),
    (lambda: nn.AvgPool1d(3, 2, 1, ceil_mode=True, count_include_pad=False), SERIES),
    (lambda: nn.AvgPool2d((2, 3), divisor_override=5), PICTURES),
    (lambda: nn.AdaptiveAvgPool1d(3), SERIES),
    (lambda: nn.AdaptiveAvgPool2d((None, 3)), PICTURES),
    (lambda: nn.AdaptiveMaxPool1d(3, return_indices=True), SERIES),
    (lambda: nn.ConstantPad1d((1, 2), 0.5), SERIES),
    (lambda: nn.ZeroPad1d(2), SERIES),
    (lambda: nn.ReflectionPad1d((1, 2)), SERIES),
    (lambda: nn.ReplicationPad1d(2), SERIES),
    (nn.Flatten, SERIES),
    (lambda: nn.Flatten(0, 1), SERIES),
    (lambda: nn.Unflatten(1, (2, 2)), SERIES),
    (nn.ReLU, ROWS),
    (nn.ReLU6, ROWS),
    (lambda: nn.LeakyReLU(0.2), ROWS),
    (lambda: nn.PReLU(4, 0.3), ROWS),
    (lambda: nn.RReLU(0.2, 0.4), ROWS),
    (lambda: nn.ELU(0.5), ROWS),
    (lambda: nn.CELU(0.5), ROWS),
    (nn.SELU, ROWS),
    (lambda: nn.GELU("tanh"), ROWS),
    (nn.SiLU, ROWS),
    (nn.Mish, ROWS),
    (nn.Sigmoid, ROWS),
    (nn.LogSigmoid, ROWS),
    (nn.Hardsigmoid, ROWS),
    (nn.Hardswish, ROWS),
    (nn.Tanh, ROWS),
    (nn.Tanhshrink, ROWS),
    (lambda: nn.Hardtanh(-0.3, 0.2), ROWS),
    (lambda: nn.Hardshrink(0.2), ROWS),
    (lambda: nn.Softshrink(0.2), ROWS),
    (lambda: nn.Softplus(2, 0.5), ROWS),
    (nn.Softsign, ROWS),
    (lambda: nn.Softmax(0), ROWS),
    (lambda: nn.LogSoftmax(-1), ROWS),
    (lambda: nn.Softmin(1), ROWS),
    (lambda: nn.GLU(0), ROWS),
    (lambda: nn.Threshold(0.1, 0.2), ROWS),
]


@pytest.mark.parametrize(("make", "x"), MODULES, ids=[repr(make()) for make, _ in MODULES])
def test_modules_of_torch(make: Callable[[], nn.Module], x: Tensor, tmp_path: Path) -> None:
    module = randomised(make().double())
    loaded = again(module, tmp_path)
    if getattr(module, "sparse", False):  # its gradient is no dense tensor
        assert_equal({"y": loaded(x)}, {"y": module(x)})
        return
    same_in_training(module, loaded, x)
    assert_equal(observed(loaded.eval(), x), observed(module.eval(), x))
    assert_equal(loaded.state_dict(), module.state_dict())


def test_a_module_of_two_inputs(tmp_path: Path) -> None:
    module = nn.Bilinear(4, 4, 2, bias=False)
    same_in_training(module, again(module, tmp_path), ROWS.float(), ROWS.float())


def test_each_module_of_torch_is_tried_here() -> None:
    assert {type(make()) for make, _ in MODULES} | {nn.Bilinear} == set(TORCH_MODULES)


@pytest.mark.parametrize("make", [nn.ReLU, nn.SiLU, nn.Dropout, nn.Hardtanh, nn.ELU])
def test_in_place_is_kept(make: Callable[..., nn.Module], tmp_path: Path) -> None:
    assert again(make(inplace=True), tmp_path).inplace is True


# Containers, ties, types ---------------------------------------------------------------------


def nested() -> nn.ModuleDict:
    """Containers in containers."""
    return nn.ModuleDict(
        {
            "encoder": nn.Sequential(nn.Linear(3, INPUTS), nn.Tanh(), nn.BatchNorm1d(INPUTS)),
            "bodies": nn.ModuleList(
                [conveyor.LSTM(INPUTS, 5), nn.ModuleDict({"ö ä": conveyor.Heads("gru", 5, 4, 2)})]
            ),
            "nothing": nn.Sequential(),
            "head": nn.Sequential(nn.Sequential(nn.Linear(4, 2)), nn.ModuleList()),
        }
    )


def test_nested_containers(tmp_path: Path) -> None:
    network = nested()
    randomised(network)
    loaded = again(network, tmp_path)
    assert list(loaded) == list(network)
    assert [n for n, _ in loaded.named_modules()] == [n for n, _ in network.named_modules()]
    assert loaded.encoder[2].num_batches_tracked == 7


@pytest.mark.parametrize("kind", CONTAINERS)
def test_an_empty_container(kind: type[nn.Module], tmp_path: Path) -> None:
    assert type(again(kind(), tmp_path)) is kind


def test_names_in_a_sequence_are_kept(tmp_path: Path) -> None:
    network = nn.Sequential()
    network.add_module("second", nn.Linear(2, 2))
    network.add_module("first", nn.Tanh())
    loaded = again(network, tmp_path)
    assert [name for name, _ in loaded.named_children()] == ["second", "first"]


def test_a_module_at_several_places_is_one(tmp_path: Path) -> None:
    shared = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    network = nn.Sequential(shared, nn.Tanh(), shared, nn.ModuleList([shared[0]]))
    loaded: Any = again(network, tmp_path)
    assert loaded[0] is loaded[2]
    assert loaded[3][0] is loaded[0][0]
    assert len(list(loaded.parameters())) == 4
    assert len(load_file(tmp_path / "model.safetensors")) == 7
    assert loaded[2][0].weight is loaded[0][0].weight


def test_tied_parameters_are_one(tmp_path: Path) -> None:
    layer = conveyor.Recurrent("lstm", 5, 5, 3, tied=True, bidirectional=True, merge="separate")
    loaded: Any = again(layer, tmp_path)
    assert len(list(loaded.parameters())) == len(list(layer.parameters()))
    assert loaded.l2.U.f is loaded.l0.U.f
    assert loaded.l2_reverse.U.f is loaded.l0_reverse.U.f
    assert loaded.l0_reverse.U.f is not loaded.l0.U.f
    same_in_training(layer, loaded, draw(T, B, 5, dtype=torch.float32))


def test_a_tie_of_two_modules_is_kept_and_trained_as_one(tmp_path: Path) -> None:
    network = nn.ModuleDict({"read": nn.Embedding(7, 3), "write": nn.Linear(3, 7)})
    network["write"].weight = network["read"].weight
    loaded: Any = again(network, tmp_path)
    assert loaded["write"].weight is loaded["read"].weight
    loaded["write"](loaded["read"](torch.tensor([1, 2]))).sum().backward()
    assert loaded["read"].weight.grad.abs().sum() > 0
    with torch.no_grad():
        loaded["read"].weight.fill_(2.0)
    assert (loaded["write"].weight == 2).all()


def test_a_tie_into_a_drop_in_layer_is_kept(tmp_path: Path) -> None:
    network = nn.ModuleList([conveyor.LSTM(3, 4), conveyor.LSTM(3, 4)])
    network[1].weight_hh_l0 = network[0].weight_hh_l0
    loaded: Any = again(network, tmp_path)
    assert loaded[1].weight_hh_l0 is loaded[0].weight_hh_l0
    assert conveyor.restore(loaded)[1].weight_hh_l0 is loaded[0].weight_hh_l0  # type: ignore[index]


def test_a_part_of_a_network_that_also_stands_beside_it(tmp_path: Path) -> None:
    readout = Readout("gru", INPUTS, 5, 2, wanted="class", last=True)
    loaded: Any = again(nn.ModuleList([readout, readout.head, readout.recurrent]), tmp_path)
    assert loaded[1].weight is loaded[0].head.weight
    assert loaded[2].l0.U.r is loaded[0].recurrent.l0.U.r


def test_what_is_not_trained_is_not_trained(tmp_path: Path) -> None:
    network = nested()
    network["encoder"].requires_grad_(False)
    network["bodies"][0].weight_hh_l0.requires_grad_(False)  # type: ignore[index]
    assert len([p for p in again(network, tmp_path).parameters() if not p.requires_grad]) == 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_are_kept(dtype: torch.dtype, tmp_path: Path) -> None:
    network: Any = nested().to(dtype)
    network["encoder"].float()
    loaded: Any = again(network, tmp_path)
    assert loaded["encoder"][0].weight.dtype is torch.float32
    assert loaded["bodies"][0].weight_hh_l0.dtype is dtype
    assert loaded["bodies"][1]["ö ä"].each[0].start().h.dtype is dtype


def test_the_type_of_a_layer_without_parameters_is_kept(tmp_path: Path) -> None:
    @cell
    def fading(x: Input, h: State) -> Value:
        return 0.5 * h

    loaded = again(conveyor.Recurrent(fading, 2, 3, dtype=torch.float64), tmp_path)
    output, _ = loaded(draw(T, B, 2))
    assert output.dtype is torch.float64


def test_another_default_type_where_it_is_loaded_changes_nothing(tmp_path: Path) -> None:
    conveyor.save(nested(), tmp_path)
    torch.set_default_dtype(torch.float64)
    try:
        loaded = conveyor.load(tmp_path)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_what_was_loaded_can_be_moved_copied_trained_and_saved_again(tmp_path: Path) -> None:
    network = nn.Sequential(conveyor.Recurrent("lstm", INPUTS, 5))
    loaded = again(network, tmp_path / "first")
    loaded.to("cpu").double().float()
    optimiser = torch.optim.SGD(loaded.train().parameters(), 0.1)
    before = loaded.state_dict()["0.l0.U.f"].clone()
    loaded(draw(T, B, INPUTS, dtype=torch.float32))[0].sum().backward()
    optimiser.step()
    assert (loaded.state_dict()["0.l0.U.f"] != before).any()
    second = again(loaded, tmp_path / "second")
    again(second, tmp_path / "second")  # also over what is there


def test_neither_saving_nor_loading_draws_random_numbers(tmp_path: Path) -> None:
    network, state = nested(), torch.get_rng_state()
    again(network, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_saving_changes_nothing(tmp_path: Path) -> None:
    network = nested()
    tensors = {name: id(each) for name, each in network.state_dict(keep_vars=True).items()}
    conveyor.save(network, tmp_path)
    assert network.training
    assert tensors == {n: id(each) for n, each in network.state_dict(keep_vars=True).items()}


def test_views_of_larger_memory_are_saved_alone(tmp_path: Path) -> None:
    whole = torch.arange(100.0)
    network = nn.ModuleList([nn.Linear(2, 2, bias=False), nn.Linear(3, 2, bias=False)])
    network[0].weight = nn.Parameter(whole[:4].view(2, 2))
    network[1].weight = nn.Parameter(whole[10:16].view(3, 2).T)  # not contiguous
    again(network, tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 300
