"""Segments computed again on the way back: the same numbers in less memory."""

import itertools
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import conveyor
from conveyor.errors import SettingError
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.reference import ReferenceKernel
from tests.kernels.odd_cells import ODD
from tests.kinds import LAW_CASES, LONG, REFERENCE_WITNESSES, by_turns
from tests.layers.named import assert_same, run
from tests.table import make_layer
from tests.warm_python import run as run_python

LAYERS: dict[str, Callable[..., Any]] = {
    "LSTM": lambda **kw: conveyor.LSTM(3, 5, num_layers=2, bidirectional=True, **kw),
    "RNN": lambda **kw: conveyor.RNN(3, 5, **kw),
    "GRU": lambda **kw: conveyor.GRU(3, 5, batch_first=True, **kw),
    "Recurrent": lambda **kw: conveyor.Recurrent("lstm_peephole", 3, 5, num_layers=2, **kw),
}
T, B = 11, 4
INPUTS: dict[str, dict[str, Any]] = {
    "dense": {},
    "lengths": {"lengths": [3, 0, 11, 2]},
    "no steps": {"lengths": [0] * B},
    "reset": {"reset": torch.arange(T * B).view(T, B) % 7 == 2},
}


def pair(name: str, checkpoint: bool | int) -> tuple[Any, Any]:
    """A layer that keeps everything, and the same one with segments."""
    torch.manual_seed(0)
    whole, cut = LAYERS[name]().double(), LAYERS[name](checkpoint=checkpoint).double()
    cut.load_state_dict(whole.state_dict())
    return whole, cut


# On the reference target cutting up is the same: one length of segments there.
LENGTHS_OF_SEGMENTS = [
    (target, checkpoint)
    for target in ("llvm", "reference")
    for checkpoint in (True, 1, 3, T, 100)
    if LONG or target == "llvm" or checkpoint == 3
]


@pytest.mark.parametrize(("target", "checkpoint"), LENGTHS_OF_SEGMENTS)
@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("name", LAYERS)
def test_the_same_numbers_and_gradients(
    name: str, given: str, target: str, checkpoint: bool | int
) -> None:
    whole, cut = pair(name, checkpoint)
    shape = (B, T, 3) if whole.batch_first else (T, B, 3)
    kwargs = dict(INPUTS[given])
    if "reset" in kwargs and whole.batch_first:
        kwargs["reset"] = kwargs["reset"].T
    x = torch.randn(shape, dtype=torch.float64)
    with conveyor.use_target(target):
        # A sum over steps is cut up elsewhere: another rounding, no more.
        assert_same(run(cut, x, **kwargs), run(whole, x, **kwargs), rtol=1e-11, atol=1e-13)


def test_a_start_state_gets_its_gradient() -> None:
    whole, cut = pair("LSTM", True)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    state = tuple(torch.randn(4, B, 5, dtype=torch.float64) for _ in range(2))
    assert_same(run(cut, x, state), run(whole, x, state), rtol=1e-11, atol=1e-13)


def test_gradients_of_gradients_and_many_at_once() -> None:
    whole, cut = pair("GRU", 3)
    x = torch.randn(B, T, 3, dtype=torch.float64, requires_grad=True)
    found = []
    for layer in (whole, cut):
        output = layer(x)[0].mean(0)
        weights = list(layer.parameters())
        (first,) = torch.autograd.grad(output.sum(), x, create_graph=True)
        second = torch.autograd.grad(first.square().sum(), weights)
        output = layer(x)[0].mean(0)
        each = torch.eye(output.numel(), dtype=torch.float64).view(-1, *output.shape)
        (many,) = torch.autograd.grad(output, x, each, is_grads_batched=True)
        found.append([first, *second, many])
    for got, want in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_what_is_computed_again_is_under_autocast_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way back runs outside of it; it must see the numbers of the way forward."""
    found = []
    sequence = ReferenceKernel.sequence

    def noted(self: ReferenceKernel, *arguments: Any, **kwargs: Any) -> Any:
        found.append((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        return sequence(self, *arguments, **kwargs)

    monkeypatch.setattr(ReferenceKernel, "sequence", noted)
    layer = conveyor.GRU(3, 5, checkpoint=4)
    with conveyor.use_target("reference"):
        with torch.autocast("cpu", torch.float16):
            output = layer(torch.randn(T, B, 3))[0]
        output.sum().backward()
    assert found == [(True, torch.float16)] * 6


def test_dropout_draws_the_same_numbers() -> None:
    results = []
    for checkpoint in (False, True):
        torch.manual_seed(0)
        layer = conveyor.GRU(3, 5, num_layers=2, dropout=0.5, checkpoint=checkpoint).double()
        results.append(run(layer, torch.ones(T, B, 3, dtype=torch.float64)))
    assert_same(results[1], results[0], rtol=1e-11, atol=1e-13)


def test_segments_are_as_long_as_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    sequence = LlvmKernel.sequence

    def noted(self: LlvmKernel, *arguments: Any, **kwargs: Any) -> Any:
        lengths.append(kwargs["steps"].steps)
        return sequence(self, *arguments, **kwargs)

    monkeypatch.setattr(LlvmKernel, "sequence", noted)
    cases: list[tuple[bool | int, list[int]]] = [
        (True, [6, 5]),
        (4, [4, 4, 3]),
        (1, [1] * T),
        (20, [T]),
    ]
    for checkpoint, want in cases:
        lengths.clear()
        layer = conveyor.GRU(3, 5, checkpoint=checkpoint)
        layer(torch.randn(T, B, 3))
        assert lengths == want
        with torch.no_grad():
            lengths.clear()
            layer(torch.randn(T, B, 3))
        # Nothing is kept where there is no way back, and the kernel need not be asked.
        assert lengths in ([], [T])


def test_what_is_no_number_of_steps() -> None:
    wrong: Any
    for wrong in (-1, 2.5, "all", None):
        with pytest.raises(SettingError, match="checkpoint is"):
            conveyor.LSTM(3, 5, checkpoint=wrong)
        layer = conveyor.LSTM(3, 5)
        with pytest.raises(SettingError, match="checkpoint is"):
            layer.checkpoint = wrong


@pytest.mark.parametrize("name", ["lstm_depth_gated", "grid_lstm"])
def test_layers_that_read_more_of_the_layer_below(name: str) -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(name, 3, 5, num_layers=3, bidirectional=True, dtype=torch.float64)
    x = torch.randn(T, 2, 3, dtype=torch.float64, requires_grad=True)
    results = []
    for checkpoint in (False, 2, True):
        layer.checkpoint = checkpoint
        output, state = layer(x)
        sources = [x, *layer.parameters()]
        loss = (output**2).sum() + sum(values.sin().sum() for values in state)
        results.append([output, *state, *torch.autograd.grad(loss, sources)])
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-12, atol=1e-13)


PEAK = """
import re, sys, torch, conveyor
def now(what):
    return int(re.search(what + r":\\s+(\\d+)", open("/proc/self/status").read()).group(1))
torch.set_num_threads(1)
layer = conveyor.LSTM(16, 64, checkpoint=sys.argv[1] == "True")
x = torch.randn(1000, 32, 16)
layer(x[:4])[0].sum().backward()
open("/proc/self/clear_refs", "w").write("5")  # the highest mark is now what is used now
before = now("VmRSS")
layer(x)[0].sum().backward()
print(now("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of memory")
def test_memory_of_a_long_sequence(tmp_path: Path) -> None:
    script = tmp_path / "peak.py"
    script.write_text(PEAK)

    def peak(checkpoint: bool) -> int:
        ended = run_python(str(script), str(checkpoint), folder=tmp_path)
        assert ended.code == 0, ended.err
        return int(ended.out) * 1024

    # What the plan keeps of a row, see explain: 464 numbers of 4 bytes. Of 16 segments only one is
    # kept at a time; the output and its gradient remain.
    kept = 1000 * 32 * 464 * 4
    assert peak(True) < peak(False) - kept * 2 // 3


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("inner", [False, True, 2])
def test_inside_the_checkpoint_of_torch(inner: bool | int, reentrant: bool) -> None:
    """It unpacks each saved tensor only once."""
    whole, cut = pair("LSTM", inner)
    found = []
    for layer in (whole, cut):
        x = torch.ones(T, B, 3, dtype=torch.float64, requires_grad=True)
        output = torch.utils.checkpoint.checkpoint(
            lambda given, layer=layer: layer(given)[0], x, use_reentrant=reentrant
        )
        output.sum().backward()
        found.append([x.grad, *[each.grad for each in layer.parameters()]])
    for got, want in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-13)


# Every kind and loss -----------------------------------------------------------------------------


def every_kind() -> dict[str, Callable[..., conveyor.Recurrent]]:
    """Return what makes a layer of each kind of cell that can be run in segments."""
    layers: dict[str, Callable[..., conveyor.Recurrent]] = {
        case.cell: partial(make_layer, case) for case in LAW_CASES
    }
    for name, (odd, sizes) in ODD.items():
        layers[f"odd: {name}"] = partial(
            conveyor.Recurrent, odd, 2, 5, sizes=sizes, dtype=torch.float64
        )
    return layers


EVERY_KIND = every_kind()
ON_REFERENCE = [name for name in EVERY_KIND if LONG or name in REFERENCE_WITNESSES]
LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "outputs": lambda output, state: output.sum(),
    "the first output": lambda output, state: output[0].sum(),
    "the last output": lambda output, state: output[-1].sum(),
    "states": lambda output, state: sum(each.sum() for each in state),
    "one state": lambda output, state: state[-1].sum(),
    "all": lambda output, state: output.square().sum() + sum(each.sum() for each in state),
}


@pytest.mark.parametrize(
    ("target", "name"),
    [*[("llvm", name) for name in EVERY_KIND], *[("reference", name) for name in ON_REFERENCE]],
)
def test_every_kind_and_loss(target: str, name: str) -> None:
    """From one step to beyond two segments of three."""
    torch.manual_seed(0)
    whole, cut = EVERY_KIND[name](), EVERY_KIND[name](checkpoint=3)
    cut.load_state_dict(whole.state_dict())
    rows = itertools.product((1, 2, 3, 4, 6, 8), LOSSES.items())
    turn = (ON_REFERENCE if target == "reference" else list(EVERY_KIND)).index(name)
    for steps, (what, loss) in by_turns(rows, turn, 3):
        x = torch.randn(steps, 2, 2, dtype=torch.float64)
        results = []
        for layer, on in ((whole, "reference"), (cut, target)):
            layer.zero_grad()
            leaf = x.clone().requires_grad_()
            with conveyor.use_target(on):
                value = loss(*layer(leaf))
                if value.requires_grad:
                    value.backward()
            results.append([leaf.grad, *[each.grad for each in layer.parameters()]])
        for number, (want, got) in enumerate(zip(*results, strict=True)):
            where = f"{what}, {steps} steps, {number}"
            if want is None:  # nothing depends on it; where a part is run by hand that is a 0
                assert got is None or not got.any(), where
            elif got is None:
                assert not want.any(), where
            else:
                torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12, msg=where)
