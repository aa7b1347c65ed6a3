"""Tensors whose numbers lie in no memory, or in less than their shape says: they run on the
reference target, or raise."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, distribute_tensor
from torch.func import functional_call
from torch.testing._internal import two_tensor

import conveyor
from conveyor.errors import ShapeError, TargetError
from tests.layers.named import draw

distributed: Any = torch.distributed
TwoTensor: Any = two_tensor.TwoTensor
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}


def lstm() -> Any:
    return conveyor.LSTM(6, 5)


def an_input() -> Tensor:
    return draw(7, 2, 6).float()


@pytest.mark.parametrize("gradients", [True, False])
def test_a_subclass_of_two_tensors(gradients: bool) -> None:
    layer, x = lstm(), an_input()
    with torch.set_grad_enabled(gradients):
        want = layer(x)[0]
        got = layer(TwoTensor(x, x.clone()))[0]
        torch.testing.assert_close(got.a, want, **CLOSE)
        state = tuple(TwoTensor(each, each.clone()) for each in layer.start(2))
        torch.testing.assert_close(layer(x, state)[0].a, want, **CLOSE)
        weight = layer.weight_hh_l0.data
        layer.weight_hh_l0 = nn.Parameter(TwoTensor(weight, weight.clone()))
        torch.testing.assert_close(layer(x)[0].a, want, **CLOSE)
        torch.testing.assert_close(layer.step(x[0])[0].a, want[0], **CLOSE)
        torch.testing.assert_close(layer(x, lengths=[7, 7])[0].a, want, **CLOSE)
    with pytest.raises(TargetError, match="holds its numbers in no memory"):
        layer.stream()


@pytest.fixture
def one_process() -> Iterator[Any]:
    """A mesh of this process alone."""
    init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        yield init_device_mesh("cpu", (1,))
    finally:
        destroy_process_group()


def test_distributed_tensors(one_process: Any) -> None:
    layer, x = lstm(), an_input()
    want = layer(x)[0]
    for name, parameter in list(layer.named_parameters()):
        shared = distribute_tensor(parameter.data, one_process, [Replicate()])
        setattr(layer, name, nn.Parameter(shared))
    got = layer(distribute_tensor(x, one_process, [Replicate()]))[0]
    assert isinstance(got, DTensor)
    torch.testing.assert_close(got.to_local(), want, **CLOSE)
    with pytest.raises(RuntimeError, match=r"mixed torch\.Tensor and DTensor"):  # torch's own words
        layer(x)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch's own reading
def test_fake_tensors_outside_of_their_mode() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.empty(7, 2, 6)
    output, (h, _) = conveyor.LSTM(6, 5)(x)
    assert isinstance(output, FakeTensor)
    assert (output.shape, h.shape) == ((7, 2, 5), (1, 2, 5))


def test_zeros_without_memory() -> None:
    layer = lstm()
    zeros: Tensor = torch._efficientzerotensor(7, 2, 6)
    for gradients in (True, False, False):
        with torch.set_grad_enabled(gradients):
            torch.testing.assert_close(layer(zeros)[0], layer(torch.zeros(7, 2, 6))[0], **CLOSE)


# torch's own wrappers, whose class is Tensor and whose numbers lie elsewhere or nowhere.
WRAPPED: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros": lambda like: torch._efficientzerotensor(like.shape),
    "functional": lambda like: torch._to_functional_tensor(like.detach().clone()),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("gradients", [True, False])
def test_wrappers_of_the_class_of_tensors(
    wrap: Callable[[Tensor], Tensor], gradients: bool
) -> None:
    """As inputs, steps and parameters, also of a call that is replayed."""
    x = an_input()
    with torch.set_grad_enabled(gradients):
        for layer in (lstm(), conveyor.Recurrent("mgu", 6, 5)):
            layer(x)
            layer(x)
            layer(wrap(x))
            layer.step(wrap(x[0]))
            for path, parameter in layer.named_parameters():
                functional_call(layer, {path: wrap(parameter)}, (x,))
        for dimensions, shape in ((1, (2, 6)), (3, (2, 3, 2, 6))):
            grid = conveyor.GridLSTM(6, 5, 2, dimensions=dimensions)
            grid(torch.randn(shape))
            grid(wrap(torch.randn(shape)))
            for path, parameter in grid.named_parameters():
                functional_call(grid, {path: wrap(parameter)}, (torch.randn(shape),))


def test_wrappers_in_the_backward_pass() -> None:
    layer, functional = lstm(), WRAPPED["functional"]
    output = layer(an_input())[0]
    with pytest.raises(TargetError, match="in no memory"):
        output.backward(functional(output))
    for unpack in (functional, lambda saved: saved.to_sparse()):
        with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved, unpack):
            output = layer(an_input())[0]
        with pytest.raises(TargetError, match="in no memory"):
            output.sum().backward()
    layer.weight_hh_l0 = nn.Parameter(functional(layer.weight_hh_l0))
    with pytest.raises(TargetError, match="in no memory"):
        layer.stream()


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")  # torch's own
@pytest.mark.parametrize("target", ["llvm", "native", "reference"])
def test_parameters_that_are_not_dense(target: str) -> None:
    layer, x = lstm(), an_input()
    weight = layer.weight_ih_l0.detach()
    others = [weight.to_sparse(), weight.to_mkldnn(), weight.to_sparse_csr()]
    others.append(torch.nested.nested_tensor([torch.randn(6)] * 20, layout=torch.jagged))
    for other in others:
        for gradients in (True, False):
            with (
                torch.set_grad_enabled(gradients),
                conveyor.use_target(target),
                pytest.raises(ShapeError, match=r"weight_ih_l0 is a (tensor of layout|nested)"),
            ):
                functional_call(layer, {"weight_ih_l0": other}, (x,))


def test_a_plain_subclass_runs_on_machine_code() -> None:
    class Named(Tensor):
        pass

    layer, x = lstm(), an_input()
    torch.testing.assert_close(layer(x.as_subclass(Named))[0].as_subclass(Tensor), layer(x)[0])


OTHER_LAYOUTS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "sparse": (lambda x: x.to_sparse(), "layout torch.sparse_coo; expected a dense one"),
    "MKL-DNN": (lambda x: x.to_mkldnn(), "layout torch._mkldnn; expected a dense one"),
    "nested": (
        lambda x: torch.nested.nested_tensor(list(x), layout=torch.jagged),
        "nested tensor; expected a padded one",
    ),
    "array": (lambda x: x.numpy(), "input is a ndarray; expected a tensor"),
    "list": (lambda x: x.tolist(), "input is a list; expected a tensor"),
    "nothing": (lambda x: None, "input is a NoneType; expected a tensor"),
}


@pytest.mark.parametrize("name", OTHER_LAYOUTS)
def test_what_is_no_dense_tensor(name: str) -> None:
    make, what = OTHER_LAYOUTS[name]
    given = make(an_input())
    layer: Any
    layers: list[Any] = [
        conveyor.LSTM(6, 5),
        conveyor.Recurrent("gru", 6, 5),
        conveyor.Heads("lstm", 6, 4, 2),
        conveyor.Stacked("lstm", 6, [4, 5]),
    ]
    for layer in layers:
        with pytest.raises(ShapeError, match=what):
            layer(given)
    for layer in [conveyor.Clockwork(6, 5, (1, 2)), conveyor.GridLSTM(6, 5, dimensions=1)]:
        with pytest.raises(ShapeError, match=what.replace("input is", "the input is")):
            layer(given)
    with pytest.raises(ShapeError, match=what.replace("input is", "x_t is")):
        conveyor.LSTM(6, 5).step(given)


def test_whole_numbers_are_converted_not_the_layer() -> None:
    for dtype in (torch.int64, torch.uint8, torch.bool, torch.complex64):
        with pytest.raises(ShapeError) as raised:
            conveyor.LSTM(6, 5)(torch.zeros(7, 2, 6).to(dtype))
        assert "Convert it: .to(torch.float32)." in str(raised.value)
        assert "layer.to" not in str(raised.value)
    with pytest.raises(ShapeError, match=r"or the layer: layer\.to\(torch\.float64\)"):
        conveyor.LSTM(6, 5)(draw(7, 2, 6))


# Freed memory ------------------------------------------------------------------------------------


def freed(tensor: Tensor, size: int = 0) -> None:
    """Take a tensor's memory away, as FSDP does between uses."""
    tensor.untyped_storage().resize_(size)


def test_a_view_that_ends_behind_what_is_left() -> None:
    """What is left would hold its numbers, but for where they begin."""
    whole = torch.randn(9, 2, 6)
    x = whole[2:]
    freed(whole, whole.nbytes - 8)
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients), pytest.raises(TargetError, match="made smaller"):
            conveyor.LSTM(6, 5)(x)


@pytest.mark.parametrize("size", [0, 8])
@pytest.mark.parametrize("what", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "x"])
@pytest.mark.parametrize("before", [False, True], ids=["at the first call", "after a call"])
def test_freed_memory(what: str, size: int, before: bool) -> None:
    for gradients in (True, False):
        layer, x = lstm(), an_input()
        with torch.set_grad_enabled(gradients):
            if before:
                layer(x)
                layer(x)
            freed(x if what == "x" else getattr(layer, what), size)
            for _ in range(2):
                with pytest.raises(TargetError, match="Its memory was freed or made smaller"):
                    layer(x)


def test_memory_that_is_given_back_is_used() -> None:
    layer, x = lstm(), an_input()
    want = layer(x)[0]
    weight = layer.weight_hh_l0.detach().clone()
    size = layer.weight_hh_l0.untyped_storage().nbytes()
    freed(layer.weight_hh_l0)
    with pytest.raises(TargetError):
        layer(x)
    layer.weight_hh_l0.untyped_storage().resize_(size)
    layer.weight_hh_l0.data.copy_(weight)
    torch.testing.assert_close(layer(x)[0], want, rtol=0, atol=0)


def test_memory_freed_before_the_backward_pass() -> None:
    layer, x = lstm(), an_input().requires_grad_()
    output = layer(x)[0]
    freed(layer.weight_hh_l0)
    with pytest.raises(TargetError, match="freed"):
        output.sum().backward()
    layer, x = lstm(), an_input().requires_grad_()
    output = layer(x)[0]
    freed(x)
    with pytest.raises(TargetError, match="freed"):
        output.sum().backward()


def test_a_view_of_freed_memory() -> None:
    """Its address is not 0."""
    whole = torch.randn(9, 2, 6)
    x = whole[2:]
    freed(whole)
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients), pytest.raises(TargetError, match="freed"):
            conveyor.LSTM(6, 5)(x)


def test_a_state_in_freed_memory() -> None:
    layer, x = lstm(), an_input()
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            h, c = layer.start(2)
            layer(x, (h, c))
            freed(c)
            with pytest.raises(TargetError, match="freed"):
                layer(x, (h, c))


def test_freed_memory_of_grids_and_clockworks() -> None:
    grid, x = conveyor.GridLSTM(6, 5), torch.randn(2, 3, 2, 6)
    grid(x)
    freed(next(grid.blocks[0].parameters()))
    with pytest.raises(TargetError, match="freed"):
        grid(x)
    clockwork = conveyor.Clockwork(6, 5, (1, 2))
    clockwork(an_input())
    freed(next(clockwork.parameters()))
    with pytest.raises(TargetError, match="freed"):
        clockwork(an_input())
