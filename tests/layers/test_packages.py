"""A layer in a package that torch compiled ahead of time."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import conveyor

# torch's warnings of its own doings, where it exports and compiles.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(
        shutil.which("g++") is None, reason="torch compiles a package with g++, which is not here"
    ),
]


class Both(nn.Module):
    """A layer that begins at zeros, and one that is given a state."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conveyor.LSTM(6, 5, bidirectional=True)
        self.second = conveyor.Recurrent("gru", 10, 4)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> Any:
        """Return the output of both, and the last state."""
        y, _ = self.first(x)
        output, state = self.second(y, (h,))
        return output, state.h


# Most of the time goes into torch's headers in C++: they are read once, and nothing is optimised.
QUICKLY: dict[str, Any] = {
    "cpp.vec_isa_ok": False,
    "aot_inductor.compile_wrapper_opt_level": "O0",
    "aot_inductor.precompile_headers": False,
}


def test_with_and_without_a_state(tmp_path: Path) -> None:
    """Without one the operator is given an empty list of tensors, which a package makes None."""
    torch._dynamo.reset()
    model = Both().eval()
    given = torch.randn(7, 2, 6), torch.randn(1, 2, 4)
    with torch.no_grad():
        want = model(*given)
    exported = torch.export.export(model, given)
    path = torch._inductor.aoti_compile_and_package(
        exported, package_path=str(tmp_path / "model.pt2"), inductor_configs=QUICKLY
    )
    package: Any = torch._inductor.aoti_load_package(path)
    for got, one in zip(package(*given), want, strict=True):
        torch.testing.assert_close(got, one)
    torch._dynamo.reset()
