"""Memories that a layer remembers from step to step."""

import copy
import pickle
from typing import Annotated, Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor import Places, Recurrent
from conveyor.cells import Input, Matrix, Memory, State, Value, cell, softmax, tanh, total
from conveyor.errors import SettingError, ShapeError
from conveyor.kernels.llvm.apart_kernel import ApartKernel

T, B, L, X, D, H, A = 4, 3, 5, 3, 4, 5, 6


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def make(layers: int = 1, **options: Any) -> Recurrent:
    layer = Recurrent("bahdanau", {"y": X, "memory": D}, H, layers, sizes={"A": A}, **options)
    with torch.no_grad():  # v begins with zeros: attention would not depend on the memory
        layer.get_parameter("l0.v").normal_()
    return layer


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows each time that something is made of memories alone."""
    times: list[int] = []
    by_itself = ApartKernel.of_memories

    def of_memories(*arguments: Any) -> Any:
        times.append(1)
        return by_itself(*arguments)

    monkeypatch.setattr(ApartKernel, "of_memories", of_memories)
    return times


def steps_of(layer: Recurrent, x: Tensor, seen: Any) -> list[Tensor]:
    """Return all outputs, and the last state."""
    state: Any = None
    found: list[Tensor] = []
    for row in x:
        outputs, state = layer.step({"y": row, **seen}, state)
        found += outputs
    return [*found, *state]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("lengths", [None, [5, 1, 3]])
def test_steps_have_the_bits_of_steps_without(
    layers: int, gradients: bool, lengths: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x, words = make(layers), torch.randn(T, B, X), torch.randn(L, B, D, requires_grad=True)
    memory: Any = words if lengths is None else Places(words, lengths)
    times = counted(monkeypatch)
    sources = [words, *layer.parameters()]
    with torch.set_grad_enabled(gradients):
        with_it = steps_of(layer, x, layer.remember({"memory": memory}))
        anew = layers * T if gradients else layers
        assert len(times) == anew
        without = steps_of(layer, x, {"memory": memory})
        assert len(times) == anew + layers * T
    assert equal(with_it, without)
    if gradients:
        one, other = (
            torch.autograd.grad(sum((each.sum() for each in found), torch.zeros(())), sources)
            for found in (with_it, without)
        )
        torch.testing.assert_close(one, other)


def test_they_agree_with_a_call_of_all_steps() -> None:
    layer, x, words = make().double(), torch.randn(T, B, X).double(), torch.randn(L, B, D).double()
    outputs, _ = layer({"y": x, "memory": Places(words, [5, 1, 3])})
    seen = layer.remember({"memory": Places(words, torch.tensor([5, 1, 3]))})
    found = steps_of(layer, x, seen)
    torch.testing.assert_close(torch.stack(found[0 : 2 * T : 2]), outputs.s)
    # A call of all steps takes it, too.
    again, _ = layer({"y": x, **seen})
    assert torch.equal(again.s, outputs.s)


def _in_place(words: Tensor, lengths: Tensor, layer: Recurrent) -> None:
    words[0, 0] += 1


def _other_lengths(words: Tensor, lengths: Tensor, layer: Recurrent) -> None:
    lengths[0] = 2


def _other_parameter(words: Tensor, lengths: Tensor, layer: Recurrent) -> None:
    layer.get_parameter("l0.U_a").add_(torch.randn(A, D))


def _replaced_parameter(words: Tensor, lengths: Tensor, layer: Recurrent) -> None:
    layer.get_submodule("l0").U_a = torch.nn.Parameter(torch.randn(A, D))


@pytest.mark.parametrize(
    "change", [_in_place, _other_lengths, _other_parameter, _replaced_parameter]
)
@torch.no_grad()
def test_what_has_changed_is_noticed(change: Any) -> None:
    layer, x, words = make(), torch.randn(T, B, X), torch.randn(L, B, D)
    lengths = torch.tensor([5, 1, 3])
    seen = layer.remember({"memory": Places(words, lengths)})
    before = steps_of(layer, x, seen)
    change(words, lengths, layer)
    after = steps_of(layer, x, seen)
    assert not equal(before, after)
    assert equal(after, steps_of(layer, x, {"memory": Places(words, lengths)}))


@torch.no_grad()
def test_a_list_of_lengths_that_has_changed() -> None:
    layer, x, words, lengths = make(), torch.randn(T, B, X), torch.randn(L, B, D), [5, 1, 3]
    seen = layer.remember({"memory": Places(words, lengths)})
    before = steps_of(layer, x, seen)
    lengths[0] = 2
    after = steps_of(layer, x, seen)
    assert not equal(before, after)
    assert equal(after, steps_of(layer, x, {"memory": Places(words, lengths)}))


@torch.no_grad()
def test_another_tensor_at_the_same_address() -> None:
    layer, x, numbers = make(), torch.randn(T, B, X), torch.randn(2, L, B, D)
    room = torch.empty(L, B, D)
    found = []
    for each in numbers:
        words = room.view(L, B, D).copy_(each)  # a view: the numbers of the one before are gone
        found.append(steps_of(layer, x, layer.remember({"memory": words})))
        assert equal(found[-1], steps_of(layer, x, {"memory": each}))
    assert not equal(*found)


def test_remembered_without_gradients_and_used_with_them() -> None:
    layer, words = make(), torch.randn(L, B, D)
    x = torch.randn(T, B, X)
    seen = layer.remember({"memory": words})
    with torch.no_grad():
        steps_of(layer, x, seen)
    outputs, _ = layer.step({"y": x[0], **seen})
    (gradient,) = torch.autograd.grad(outputs.s.sum(), [layer.get_parameter("l0.U_a")])
    assert gradient.any()


@torch.no_grad()
def test_another_target_and_inference_mode() -> None:
    layer, x, words = make(), torch.randn(T, B, X), torch.randn(L, B, D)
    seen = layer.remember({"memory": words})
    known = steps_of(layer, x, seen)
    with conveyor.use_target("reference"):
        torch.testing.assert_close(steps_of(layer, x, seen), known)
    with torch.inference_mode():
        seen = layer.remember({"memory": words.clone()})
        assert equal(steps_of(layer, x, seen), known)


@cell
def of_two(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    h: State,
    keys: Annotated[Memory, "L", "H"],
    values: Annotated[Memory, "L", "E"],
    W: Matrix,
    V: Matrix,
) -> Value:
    """Looks at two memories."""
    return tanh(W @ x + V.a @ (softmax(total(keys * h)) @ values))


@torch.no_grad()
def test_two_memories() -> None:
    layer = Recurrent(of_two, {"x": X, "keys": H, "values": D}, H)
    x = torch.randn(B, X)
    both: Any = {"keys": torch.randn(L, B, H), "values": torch.randn(L, B, D)}
    seen, other = layer.remember(both), layer.remember({**both, "values": torch.randn(L, B, D)})
    known = layer.step({"x": x, **both})[0]
    assert torch.equal(layer.step({"x": x, **seen})[0], known)
    # One of each: neither is what was remembered together.
    mixed: Any = {"x": x, "keys": other["keys"], "values": seen["values"]}
    assert torch.equal(layer.step(mixed)[0], known)


def test_layouts() -> None:
    first, x, words = make(batch_first=True), torch.randn(B, X), torch.randn(B, L, D)
    known = first.step({"y": x, "memory": words})[0]
    assert torch.equal(first.step({"y": x, **first.remember({"memory": words})})[0].s, known.s)
    alone = first.step({"y": x[0], **first.remember({"memory": words[0]})})[0]
    torch.testing.assert_close(alone.s, known.s[0])


def test_what_does_not_fit() -> None:
    layer = make()
    with pytest.raises(SettingError, match="gru looks at no memory, so there is nothing to"):
        Recurrent("gru", X, H).remember({"memory": torch.zeros(L, B, D)})
    with pytest.raises(ShapeError, match="the input has no memory"):
        layer.remember({"words": torch.zeros(L, B, D)})
    with pytest.raises(ShapeError, match="memory has 2 dimensions; expected 3"):
        layer.step({"y": torch.zeros(B, X), **layer.remember({"memory": torch.zeros(L, D)})})
    with pytest.raises(ShapeError, match=r"memory is \[5, 3, 4\]; expected 2 sequences"):
        layer.step({"y": torch.zeros(2, X), **layer.remember({"memory": torch.zeros(L, B, D)})})


def gradients_of(layer: Recurrent, x: Tensor, seen: Any, *of: Tensor) -> tuple[Tensor, ...]:
    outputs, _ = layer.step({"y": x, **seen})
    return torch.autograd.grad(outputs.s.square().sum(), of)


def test_where_a_memory_was_remembered_takes_no_gradient_away() -> None:
    layer, x, words = make(), torch.randn(B, X), torch.randn(L, B, D, requires_grad=True)
    known = gradients_of(layer, x, {"memory": words}, words)
    modes = [torch.no_grad, torch.inference_mode, torch.enable_grad]
    for mode in modes:
        with mode():
            seen = layer.remember({"memory": Places(words, [5, 5, 5])})
            layer.step({"y": x, **seen})
        assert torch.equal(*known, *gradients_of(layer, x, seen, words))


def test_a_memory_that_gets_a_gradient_later() -> None:
    layer, x, words = make(), torch.randn(B, X), torch.randn(L, B, D)
    layer.requires_grad_(False)
    seen = layer.remember({"memory": words})
    layer.step({"y": x, **seen})
    words.requires_grad_()
    known = gradients_of(layer, x, {"memory": words}, words)
    assert torch.equal(*known, *gradients_of(layer, x, seen, words))


def test_parameters_that_get_a_gradient_later() -> None:
    layer, x, words = make(), torch.randn(B, X), torch.randn(L, B, D)
    layer.requires_grad_(False)
    seen = layer.remember({"memory": words})
    layer.step({"y": x, **seen})
    layer.requires_grad_(True)
    matrix = layer.get_parameter("l0.U_a")
    known = gradients_of(layer, x, {"memory": words}, matrix)
    assert torch.equal(*known, *gradients_of(layer, x, seen, matrix))


def test_what_was_computed_in_inference_mode_is_not_used_outside() -> None:
    layer, words, x = make(), torch.randn(L, B, D), torch.randn(B, X, requires_grad=True)
    layer.requires_grad_(False)
    memory: Any = {"memory": Places(words, [5, 1, 3])}
    outside = layer.remember(memory)
    with torch.inference_mode():
        inside = layer.remember(memory)
        for seen in (outside, inside):
            layer.step({"y": x, **seen})
    known = gradients_of(layer, x, memory, x)
    for seen in (outside, inside):
        assert torch.equal(*known, *gradients_of(layer, x, seen, x))


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"fused": True}])
@pytest.mark.parametrize("of_words", [False, True])
def test_a_step_of_an_optimiser_is_noticed(of_words: bool, options: Any) -> None:
    layer, x, words = make(), torch.randn(T, B, X), torch.nn.Parameter(torch.randn(L, B, D))
    learned = [words] if of_words else [*layer.parameters()]
    optimiser = torch.optim.AdamW(learned, 0.1, **options)
    seen = layer.remember({"memory": words})
    with torch.no_grad():
        before = steps_of(layer, x, seen)
    for trained in ({"memory": words}, seen, seen):
        optimiser.zero_grad()
        torch.autograd.backward(steps_of(layer, x, trained)[0].sum())
        optimiser.step()
        with torch.no_grad():
            after = steps_of(layer, x, seen)
            assert equal(after, steps_of(layer, x, {"memory": words}))
            assert not equal(before, after)


def test_what_cannot_be_remembered_or_copied() -> None:
    layer, words = make(), torch.zeros(L, B, D)
    seen = layer.remember({"memory": words})
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(SettingError, match="cannot be copied or stored"):
            copied(seen["memory"])
    with pytest.raises(ShapeError, match="y cannot be remembered; bahdanau looks at memory alone"):
        layer.remember({"memory": words, "y": torch.zeros(B, X)})
    with pytest.raises(SettingError, match="a bidirectional layer has no steps"):
        make(bidirectional=True).remember({"memory": words})
    with pytest.raises(ShapeError, match="by a layer with batch_first=False and are read by one"):
        make(batch_first=True).step({"y": torch.zeros(B, X), **seen})
    wide = Recurrent("bahdanau", {"y": X, "memory": D + 1}, H, sizes={"A": A})
    with torch.no_grad(), pytest.raises(ShapeError, match="expected 3 sequences of 5 features"):
        wide.step({"y": torch.zeros(B, X), **seen})
