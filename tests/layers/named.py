"""Runs a layer and names everything that came out: outputs, final states, every gradient."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

Named = dict[str, Tensor]


def tensors_of(name: str, thing: Any) -> Iterator[tuple[str, Tensor]]:
    """A tensor, or the tensors of a packed sequence, a tuple or a named tuple, by name."""
    if isinstance(thing, Tensor):
        yield name, thing
    elif isinstance(thing, PackedSequence):
        yield f"{name}.data", thing.data
    else:
        for number, each in enumerate(thing):
            yield f"{name}.{number}", each


def weights_like(named: Mapping[str, Tensor]) -> Named:
    """Random float64 numbers of the shapes given: a loss that is a plain sum cannot tell one
    output from another. The same shapes always give the same numbers."""
    source = torch.Generator().manual_seed(11)
    return {
        name: torch.rand(each.shape, generator=source, dtype=torch.float64) * 2 - 1
        for name, each in named.items()
    }


def loss_of(named: Mapping[str, Tensor]) -> Tensor:
    """A weighted sum of all the numbers, in float64."""
    weights = weights_like(named)
    return torch.stack([(weights[name] * each).sum() for name, each in named.items()]).sum()


def leaf(values: Tensor) -> Tensor:
    """A copy that gradients arrive at."""
    return values.detach().clone().requires_grad_()


def gradients(loss: Tensor, of: Mapping[str, Tensor]) -> Named:
    """The gradient of each, by name; zeros where the loss does not depend on it."""
    found = torch.autograd.grad(loss, list(of.values()), allow_unused=True, materialize_grads=True)
    return {f"gradient of {name}": each for name, each in zip(of, found, strict=True)}


def run(layer: nn.Module, x: Tensor | PackedSequence, state: Any = None, **kwargs: Any) -> Named:
    """The output, the final state, and the gradients of all parameters, of the input and of the
    start state for ``loss_of`` all that came out."""
    if isinstance(x, PackedSequence):
        data = leaf(x.data)
        x = PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
    else:
        x = data = leaf(x)
    sources = {**dict(layer.named_parameters()), "input": data}
    if isinstance(state, Tensor):
        state = leaf(state)
    elif state is not None:
        state = tuple(leaf(each) for each in state)
    if state is not None:
        sources.update(tensors_of("start", state))
    output, final = layer(x, state, **kwargs)
    results = dict([*tensors_of("output", output), *tensors_of("final", final)])
    return {
        **{name: each.detach() for name, each in results.items()},
        **gradients(loss_of(results), sources),
    }


def assert_same(
    got: Mapping[str, Tensor], want: Mapping[str, Tensor], *, rtol: float, atol: float
) -> None:
    """The same names, and by each name the same numbers up to the tolerance."""
    assert list(got) == list(want)
    for name, each in want.items():
        try:
            torch.testing.assert_close(got[name], each, rtol=rtol, atol=atol)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def assert_equal(got: Mapping[str, Tensor], want: Mapping[str, Tensor]) -> None:
    """The same names, and by each name the same bits."""
    assert_same(got, want, rtol=0, atol=0)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Numbers uniform in ±1, the same for the same shape and seed."""
    source = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=source, dtype=torch.float64) * 2 - 1).to(dtype)
