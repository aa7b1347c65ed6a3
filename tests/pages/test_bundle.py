"""The packed plotly.js is kept on disk, and what lies there is only taken if it is right."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conveyor.pages import bundle
from conveyor.pages.bundle import ENDING, Packed, plotlyjs

SCRIPT = "/* plotly.js v0 */ draw();"


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A short plotly.js and a cache folder that is not there yet; every script that is packed is
    noted."""
    scripts: list[str] = []
    right = bundle.pack

    def noted(script: str) -> str:
        scripts.append(script)
        return right(script)

    monkeypatch.setattr(bundle, "pack", noted)
    monkeypatch.setattr(bundle, "get_plotlyjs", lambda: SCRIPT)
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", str(tmp_path / "kept"))
    return scripts


def in_a_new_process() -> Packed:
    plotlyjs.cache_clear()
    try:
        return plotlyjs()
    finally:
        plotlyjs.cache_clear()  # other tests write pages


def kept_file(folder: Path) -> Path:
    (path,) = (folder / "kept").iterdir()
    return path


def test_a_later_process_reads_what_an_earlier_one_packed(
    packed: list[str], tmp_path: Path
) -> None:
    first = in_a_new_process()
    assert first == Packed(bundle.pack(SCRIPT), len(SCRIPT), "/* plotly.js v0 */")
    packed.clear()
    assert in_a_new_process() == first
    assert packed == []
    assert kept_file(tmp_path).suffix == ENDING


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:40] + b"?" + data[41:],
        lambda data: data[:32],
    ],
    ids=["empty", "short", "long", "another letter", "only a checksum"],
)
def test_a_damaged_file_is_made_anew(
    damage: Callable[[bytes], bytes], packed: list[str], tmp_path: Path
) -> None:
    first = in_a_new_process()
    path = kept_file(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert in_a_new_process() == first
    assert packed == [SCRIPT, SCRIPT]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("changed", ["the script", "the version", "how it is packed"])
def test_other_inputs_have_another_file(
    changed: str, packed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_new_process()
    if changed == "the script":
        monkeypatch.setattr(bundle, "get_plotlyjs", lambda: SCRIPT + " ")
    elif changed == "the version":
        monkeypatch.setattr(bundle, "plotly_version", "0.0.1")
    else:
        other = tmp_path / "bundle.py"
        other.write_text("pack = None")
        monkeypatch.setattr(bundle, "__file__", str(other))
    in_a_new_process()
    assert len(packed) == 2
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_file_that_others_can_write_is_not_taken(packed: list[str], tmp_path: Path) -> None:
    """It becomes a script of the user's pages."""
    in_a_new_process()
    kept_file(tmp_path).chmod(0o666)
    in_a_new_process()
    assert packed == [SCRIPT, SCRIPT]


@pytest.mark.parametrize("folder", ["", "/dev/null/below"], ids=["none", "one that cannot be"])
def test_without_a_folder_a_process_packs_for_itself(
    folder: str, packed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", folder)
    assert in_a_new_process() == in_a_new_process()
    assert packed == [SCRIPT, SCRIPT]


def test_a_folder_that_cannot_be_written_is_no_error(
    packed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full or read-only disk answers; root may write wherever it likes."""

    def read_only(*args: Any, **kwargs: Any) -> Any:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", read_only)
    assert in_a_new_process().size == len(SCRIPT)
    assert packed == [SCRIPT]
    assert list((tmp_path / "kept").iterdir()) == []
