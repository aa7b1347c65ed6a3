"""What other tests than those of machine code compile has the bits of what users run."""

import pytest
import torch

from conveyor.compiler.plan import plan
from conveyor.kernels.llvm import code_cache
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.steps import Steps
from tests.kernels.agreement import everything
from tests.kernels.llvm_cases import small
from tests.layers.named import assert_equal
from tests.quick_code import is_on, quickly


@pytest.mark.parametrize("name", ["gru", "lstm_layer_norm", "slstm"])
def test_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests of this process may have loaded either.
    monkeypatch.setattr(code_cache, "_LOADED", {})
    given = small(name, steps=Steps(5, 3, (3, 3, 2, 1, 1)))
    planned = plan(given.program)
    assert not is_on()
    expected = everything(LlvmKernel(planned, torch.float32), given, torch.float32)
    names = set(code_cache._LOADED)
    with quickly():
        assert is_on()
        quick = everything(LlvmKernel(planned, torch.float32), given, torch.float32)
    # Compiled otherwise, and kept apart from what users run.
    assert set(code_cache._LOADED) > names
    assert_equal(quick, expected)
