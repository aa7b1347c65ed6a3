"""A call like one before: the same bits without reading the call anew, and nothing goes unseen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import prune

import conveyor
from conveyor.errors import ConveyorError, SettingError, ShapeError, TargetError
from conveyor.kernels import tensor_guard
from conveyor.kernels.llvm import scratch
from conveyor.kernels.llvm.replay import LlvmReplay
from conveyor.layers import sequence
from conveyor.layers.repeated_call import repeated

T, B, INPUTS, UNITS = 4, 3, 5, 6

LAYERS: dict[str, Callable[..., Any]] = {
    "LSTM": lambda **more: conveyor.LSTM(INPUTS, UNITS, **more),
    "GRU": lambda **more: conveyor.GRU(INPUTS, UNITS, **more),
    "RNN": lambda **more: conveyor.RNN(INPUTS, UNITS, **more),
    "lstm": lambda **more: conveyor.Recurrent("lstm", INPUTS, UNITS, **more),
    "gru": lambda **more: conveyor.Recurrent("gru", INPUTS, UNITS, **more),
}
MORE: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch first": {"batch_first": True},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "float64": {"dtype": torch.float64},
}


def flat(results: Any) -> list[Tensor]:
    """Output and states."""
    output, state = results
    return [output, *([state] if isinstance(state, Tensor) else state)]


def assert_same(one: Any, other: Any) -> None:
    assert type(one[1]) is type(other[1])
    for mine, theirs in zip(flat(one), flat(other), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
        assert mine.stride() == theirs.stride()


@contextmanager
def unread() -> Iterator[None]:
    """Fail where a call is read anew."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("read_input", "read_step"):
            patch.setattr(sequence, name, lambda *_, **__: pytest.fail("the call was read anew"))
        yield


@contextmanager
def not_repeated() -> Iterator[None]:
    """Let every call be read anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence, "repeated", lambda *_: None)
        yield


def input_of(layer: Any, *, batched: bool = True) -> Tensor:
    shape = (B, T, INPUTS) if layer.batch_first else (T, B, INPUTS)
    dtype: torch.dtype = next(layer.parameters()).dtype
    return torch.randn(shape if batched else (T, INPUTS), dtype=dtype)


def states_of(layer: Any, *, batched: bool = True) -> list[Any]:
    """No state, and one."""
    begin = layer.start(B)
    each = [torch.randn_like(one) for one in ([begin] if isinstance(begin, Tensor) else begin)]
    if not batched:
        each = [one[:, 0] for one in each]
    return [None, each[0] if isinstance(begin, Tensor) else tuple(each)]


@pytest.mark.parametrize("batched", [True, False], ids=["batch", "one sequence"])
@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_the_same_bits_and_the_call_is_not_read_anew(name: str, more: str, batched: bool) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name](**MORE[more])
    x = input_of(layer, batched=batched)
    doors = [(layer, x)]
    if not layer.bidirectional:
        doors.append((layer.step, x[:, 0] if layer.batch_first and batched else x[0]))
    for door, given in doors:
        for state in states_of(layer, batched=batched):
            with not_repeated():
                expected = door(given, state)
            with unread():
                assert_same(door(given, state), expected)
                other = door(given + 1, state)
            assert not torch.equal(other[0], expected[0])


@pytest.mark.parametrize("guarded", [True, False], ids=["guard", "no guard"])
@torch.no_grad()
def test_with_and_without_guards_of_torch(guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not guarded:
        monkeypatch.setattr(tensor_guard, "_works", lambda: False)
    layer = conveyor.LSTM(INPUTS, UNITS)
    x = input_of(layer)
    layer(x)
    layer.weight_hh_l0.data = torch.randn(UNITS, 4 * UNITS).t()
    with not_repeated():
        expected = layer(x)
    for _ in range(2):
        assert_same(layer(x), expected)


def test_this_version_of_torch_has_guards() -> None:
    """Otherwise calls are as right, and slower: it should be known."""
    assert tensor_guard._works()


KINDS: dict[str, Callable[[Tensor], Any]] = {
    "shape": lambda x: x[:2],
    "strides": lambda x: torch.zeros(4, 4).t(),
    "type": lambda x: x.double(),
    "device": lambda x: x.to("meta"),
    "sign": torch._neg_view,
    "class": nn.Parameter,
    "sparse": lambda x: x.to_sparse(),
    "compressed": lambda x: x.to_sparse_csr(),
    "nested": lambda x: torch.nested.nested_tensor([x, x[:1]]),
    "jagged": lambda x: torch.nested.nested_tensor([x, x[:1]], layout=torch.jagged),
    "functional": torch._to_functional_tensor,
    "zeros without memory": lambda x: torch._efficientzerotensor(4, 4),
    "no tensor": lambda _: None,
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, about sparse and nested tensors
@pytest.mark.parametrize("kind", KINDS)
def test_a_guard_tells_kinds_apart(kind: str) -> None:
    x = torch.arange(16.0).view(4, 4)
    holds = tensor_guard.guard_of([x])
    assert holds([torch.zeros(4, 4)])
    assert not holds([KINDS[kind](x)])


def to_double(layer: Any) -> None:
    layer.double()


def half_pruned(layer: Any) -> None:
    prune.random_unstructured(layer, "weight_hh_l0", amount=0.5)  # type: ignore[no-untyped-call]


def parametrised(layer: Any) -> None:
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")


def negated(layer: Any) -> None:
    layer.weight_hh_l0.data = torch._neg_view(layer.weight_hh_l0.data.clone())


def written_beside_torch(layer: Any) -> None:
    layer.weight_hh_l0.detach().numpy()[:] = 0.25


def written_by_data(layer: Any) -> None:
    layer.weight_hh_l0.data.zero_()


def on_another_target(_layer: Any) -> None:
    conveyor.use_target("reference")


@pytest.mark.parametrize(
    "change",
    [
        *(half_pruned, parametrised, negated, written_beside_torch, written_by_data),
        on_another_target,
    ],
    ids=lambda change: change.__name__,
)
@torch.no_grad()
def test_changes_are_seen(change: Callable[[Any], None]) -> None:
    torch.manual_seed(0)
    layer = conveyor.LSTM(INPUTS, UNITS)
    x = input_of(layer)
    layer(x), layer(x)
    before = layer(x)
    try:
        change(layer)
        after = layer(x)
        with not_repeated():
            assert_same(after, layer(x))
    finally:
        conveyor.use_target(None)
    same_numbers = change in (on_another_target, parametrised)
    assert same_numbers or not torch.equal(before[0], after[0])


@torch.no_grad()
def test_a_parameter_of_a_named_cell_is_seen() -> None:
    layer: Any = conveyor.Recurrent("lstm", INPUTS, UNITS)
    x = input_of(layer)
    layer(x), layer(x)
    other: Any = conveyor.Recurrent("lstm", INPUTS, UNITS)
    layer.l0.U = other.l0.U
    with not_repeated():
        expected = layer(x)
    assert_same(layer(x), expected)
    swap: Any = torch.utils.swap_tensors
    swap(layer.l0.W.f, nn.Parameter(torch.zeros(UNITS, INPUTS)))
    with not_repeated():
        swapped = layer(x)
    assert_same(layer(x), swapped)
    assert not torch.equal(swapped[0], expected[0])
    del layer.l0.U
    with pytest.raises(ShapeError, match=r"there is no parameter l0\.U"):
        layer(x)


@torch.no_grad()
def test_sizes_and_options_changed_by_hand_are_seen() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS, num_layers=2)
    square = torch.randn(3, 3, INPUTS)
    first = layer(square)[0]
    layer.batch_first = True
    torch.testing.assert_close(layer(square.transpose(0, 1))[0], first.transpose(0, 1))
    assert not torch.equal(layer(square)[0], first)
    layer.num_layers = 1
    assert layer(square)[1][0].shape == (1, 3, UNITS)
    two = conveyor.GRU(INPUTS, UNITS, bidirectional=True)
    two(square), two(square)
    two.merge = "sum"
    assert two(square)[0].shape == (3, 3, UNITS)
    layer.step(square[0])
    layer.bidirectional = True
    with pytest.raises(SettingError, match="bidirectional layer cannot go step by step"):
        layer.step(square[0])


@pytest.mark.parametrize(
    "options", [{"dropout": 0.5, "num_layers": 2}, {"weight_dropout": 0.5}, {"zoneout": 0.5}]
)
@torch.no_grad()
def test_what_is_drawn_in_training_is_drawn(options: dict[str, Any]) -> None:
    layer = conveyor.LSTM(INPUTS, UNITS, **options).eval()
    x = input_of(layer)
    first = layer(x)[0]
    assert torch.equal(layer(x)[0], first)
    layer.train()
    assert not torch.equal(layer(x)[0], layer(x)[0])


@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, about sparse and nested tensors
@torch.no_grad()
def test_what_is_refused_is_refused_after_a_call_that_was_not() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS, batch_first=True, num_layers=2)
    plain = conveyor.LSTM(INPUTS, UNITS)
    for one in (layer, plain):
        x, (_, state) = input_of(one), states_of(one)
        one(x, state), one(x)
        h, c = state
        nested = torch.nested.nested_tensor([h, h])
        bad: list[tuple[Any, ...]] = [
            (x.double(),),
            (x.to("meta"),),
            (x.to_sparse(),),
            (torch.nested.nested_tensor([x, x]),),
            (x, (h,)),
            (x, (h, c, c)),
            (x, h),
            (x, (h, None)),
            (x, (h, c.double())),
            (x, (h, c.to_sparse())),
            (x, (nested, nested)),
            (x, (torch.cat([h, h]), torch.cat([c, c]))),
            (x, {"h": h, "c": c}),
        ]
        for arguments in bad:
            with pytest.raises(ConveyorError):
                one(*arguments)


@torch.no_grad()
def test_lengths_resets_and_traces_are_seen() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS)
    x = input_of(layer)
    layer(x), layer(x)
    assert layer(x, lengths=[T, T - 1, 1])[0][-1, 1:].eq(0).all()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2] = True
    torch.testing.assert_close(layer(x, reset=reset)[0][2:], layer(x[2:])[0])
    assert len(layer(x, trace=True)) == 3


@torch.no_grad()
def test_freed_memory_is_refused() -> None:
    for of_parameter, left in ((True, 4), (False, 4), (True, 0), (False, 0)):
        layer: Any = conveyor.GRU(INPUTS, UNITS)
        x = input_of(layer)
        layer(x), layer(x)
        memory = (layer.weight_hh_l0 if of_parameter else x).untyped_storage()
        memory.resize_(left)
        with pytest.raises(TargetError, match="has a storage of"):
            layer(x)


@pytest.mark.filterwarnings("ignore")
def test_who_must_see_every_operation_does() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS)
    x = input_of(layer)
    with torch.no_grad():
        layer(x), layer(x)
        want = layer(x)[0]
        recorded = make_fx(lambda given: layer(given)[0])(x)
        torch.testing.assert_close(recorded(x + 1), layer(x + 1)[0])
        inside = torch.func.vmap(lambda number: layer(x)[0] * number)(torch.ones(2))
        torch.testing.assert_close(inside[1], want)
        dual: Any = forward_ad
        with dual.dual_level():
            moved = dual.make_dual(x, torch.ones_like(x))
            assert dual.unpack_dual(layer(moved)[0]).tangent is not None
        with pytest.raises(TargetError, match=r"Use torch\.export"):
            torch.jit.trace(lambda given: layer(x)[0], (x,))  # type: ignore[no-untyped-call]
    assert layer(x)[0].requires_grad


def test_no_call_is_repeated_inside_transforms() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS)
    x = input_of(layer)

    def is_repeated() -> bool:
        return repeated(layer, "sequence", x, None) is not None

    with torch.no_grad():
        layer(x), layer(x)
        assert is_repeated()
        with pytest.MonkeyPatch.context() as patch:
            # A guard of torch would see the transform too.
            patch.setattr(tensor_guard, "_works", lambda: False)
            patch.setattr(LlvmReplay, "__call__", lambda *_: pytest.fail("a call was repeated"))
            torch.func.vmap(lambda number: number * is_repeated())(torch.ones(2))
            with forward_ad.dual_level():
                assert not is_repeated()
    assert not is_repeated()


@torch.no_grad()
def test_a_state_of_one_tensor_twice() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS)
    x, zero = input_of(layer), torch.randn(1, B, UNITS)
    with not_repeated():
        expected = layer(x, (zero, zero))
    for _ in range(3):
        assert_same(layer(x, (zero, zero)), expected)


@torch.no_grad()
def test_results_are_the_callers_own() -> None:
    layer = conveyor.RNN(INPUTS, UNITS)
    x = input_of(layer)
    layer(x)
    first = layer(x)
    copies = [each.clone() for each in flat(first)]
    second = layer(x + 1)
    for each, copy in zip(flat(first), copies, strict=True):
        assert torch.equal(each, copy)
    addresses = {each.data_ptr() for each in (*flat(first), *flat(second))}
    assert len(addresses) == 4


@pytest.mark.parametrize("name", ["slstm", "lstm"])
@torch.no_grad()
def test_states_that_begin_elsewhere_than_at_zero(name: str) -> None:
    layer = conveyor.Recurrent(name, INPUTS, UNITS, learn_start=name == "lstm")
    x = input_of(layer)
    with not_repeated():
        expected = layer(x), layer.step(x[0])
    for _ in range(2):
        assert_same(layer(x), expected[0])
        assert_same(layer.step(x[0]), expected[1])


@torch.no_grad()
def test_another_default_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that machine code writes is on the CPU, whatever torch's default is."""
    layer = conveyor.LSTM(INPUTS, UNITS)
    x = input_of(layer)
    want = layer(x)[0]
    monkeypatch.setattr(scratch._KEPT, "piece", None)
    with torch.device("meta"):
        assert torch.equal(layer(x)[0], want)
        fresh = conveyor.LSTM(INPUTS, UNITS, device="cpu")
        assert fresh(x)[0].device.type == "cpu"
