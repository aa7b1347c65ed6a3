"""Fixtures and settings of all tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files are only written when a person asks."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what golden tests got to tests/golden; read the difference before committing",
    )


def pytest_runtest_setup() -> None:
    """New memory holds NaN, so that reading it before writing it shows. On a GPU this mode
    forbids more than that, so there memory is as it comes."""
    if not torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Compare a text with tests/golden/<test file>/<test name>.txt."""
    path = GOLDEN / request.path.stem / f"{request.node.name}.txt"

    def compare(text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        if not path.exists():
            pytest.fail(f"{path} is missing. Write it with: pytest --update-golden, and read it.")
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
