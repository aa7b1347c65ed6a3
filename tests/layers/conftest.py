"""Settings of the tests of layers."""

import sys
from collections.abc import Iterator

import pytest
import torch

from conveyor import use_target


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors here are tiny: threads of one product would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def nothing_compiled_before() -> None:
    """torch's compiler gives up a function that it compiled for eight kinds of layers, as every
    layer's ``forward`` is in a process of many tests: each file begins anew."""
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()


@pytest.fixture(params=[None, "reference"], ids=["chosen", "reference"])
def each_target(request: pytest.FixtureRequest) -> Iterator[None]:
    """What layers promise holds wherever they run: on the target that conveyor chooses, machine
    code where that can be, and on the reference."""
    with use_target(request.param):
        yield
