"""The target that CONTRIBUTING shows is all that a new target takes."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import conveyor
from conveyor.errors import TargetError
from conveyor.kernels import select

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def shown() -> Any:
    """Return the module that the page shows."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    section = text[text.index("## Adding a target") : text.index("## Adding a task")]
    code = next(b for b in re.findall(r"```python\n(.*?)```", section, re.DOTALL) if "class" in b)
    module = ModuleType("conveyor_shown_target")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(code, str(CONTRIBUTING), "exec"), module.__dict__)  # our own page
    yield module
    del sys.modules[module.__name__]


@pytest.fixture
def counting(shown: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the target, which the layers of a test can use."""
    target = shown.Counting()
    monkeypatch.setattr(select, "TARGETS", (*select.TARGETS, target))
    return target


@pytest.mark.parametrize("bidirectional", [False, True])
def test_it_computes_what_the_reference_does(counting: Any, bidirectional: bool) -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent("lstm", 3, 4, 2, bidirectional=bidirectional)
    x, lengths = torch.randn(5, 3, 3), torch.tensor([5, 2, 0])
    results = []
    for name in (counting.name, "reference"):
        with conveyor.use_target(name):
            output, state = layer(x, lengths=lengths)
            gradients = torch.autograd.grad(output.sum(), list(layer.parameters()))
        results.append([output, *state, *gradients])
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_it_counts(counting: Any) -> None:
    layer = conveyor.Recurrent("lstm", 3, 4)
    with conveyor.use_target(counting.name):
        layer(torch.zeros(5, 3, 3), lengths=torch.tensor([5, 2, 0]))
        (kernel,) = layer.__dict__["_kernels"].values()
        assert kernel.counts["tanh"] == 2 * 7  # of a step: the candidate and the output
        assert kernel.counts["matmul"] == 8 * 7
        text = layer.explain(torch.zeros(10, 2, 3))
    assert "target: counting" in text
    assert f"operations: {len(layer.plan.program.operations) * 20:,}" in text


def test_what_it_leaves_out_is_said_or_done_by_others(counting: Any) -> None:
    layer = conveyor.Recurrent("lstm", 3, 4)
    x = torch.randn(2, 3)
    whole = layer(x[None])[0]
    with conveyor.use_target(counting.name):
        with pytest.raises(TargetError, match="the target counting has no steps without tensors"):
            layer.stream()
        torch.testing.assert_close(layer.step(x)[0], whole[0])
    assert "not counting: llvm can, and comes first." in layer.explain(x[None])
