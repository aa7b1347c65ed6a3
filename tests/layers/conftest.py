"""Settings of the tests of layers."""

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


@pytest.fixture(params=[None, "reference"], ids=["chosen", "reference"])
def each_target(request: pytest.FixtureRequest) -> Iterator[None]:
    """What layers promise holds wherever they run: on the target that conveyor chooses, machine
    code where that can be, and on the reference."""
    with use_target(request.param):
        yield
