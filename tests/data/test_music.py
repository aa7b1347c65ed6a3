"""Polyphonic music: reading it, foretelling it, and the baseline."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conveyor.data.music import COIN_NATS, KEYS, key_by_key_nats, next_notes, read_music
from conveyor.errors import DataError
from conveyor.networks.readout import Readout

SMALL: dict[str, Any] = {
    "train": [[[21, 60], [60], []], [[108], [108, 61]]],
    "valid": [[[60], [62]]],
    "test": [[[60, 64, 67], [], [60]]],
}
CHORALES = Path(__file__).parents[3] / "shared/data/jsb-chorales/JSB_Chorales.json.gz"


def write(path: Path, data: object) -> Path:
    text = json.dumps(data).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("name", ["small.json", "small.json.gz"])
def test_notes_become_keys(tmp_path: Path, name: str) -> None:
    music = read_music(write(tmp_path / name, SMALL))
    assert [len(part) for part in music] == [2, 1, 1]
    first = music.train[0]
    assert first.shape == (3, KEYS)
    assert first.nonzero().tolist() == [[0, 0], [0, 39], [1, 39]]
    assert music.train[1].nonzero().tolist() == [[0, 87], [1, 40], [1, 87]]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "expected lists of pieces under train, valid, test"),
        ({**SMALL, "valid": []}, "no piece under valid"),
        ({**SMALL, "train": [[[60]]]}, "train, piece 0: expected a list of two steps"),
        ({**SMALL, "test": [[[60], [20]]]}, r"test, piece 0, step 1: \[20\]; expected"),
        ({**SMALL, "test": [[[60], [60.5]]]}, "step 1"),
        ({**SMALL, "test": [[[60], 60]]}, "step 1: 60"),
    ],
)
def test_what_is_no_music_is_refused_by_its_place(tmp_path: Path, data: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_music(write(tmp_path / "bad.json", data))


def test_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text("{")
    with pytest.raises(DataError, match="no JSON"):
        read_music(path)
    path.write_text('{"train": [' + "1" * 5000 + "]}")  # more digits than Python reads
    with pytest.raises(DataError, match="no JSON"):
        read_music(path)
    path = tmp_path / "bad.json.gz"
    path.write_bytes(gzip.compress(b"{}")[:-9])
    with pytest.raises(DataError, match="no whole gzip file"):
        read_music(path)
    with pytest.raises(DataError, match=r"no such file\. Did you mean 'bad.json'"):
        read_music(tmp_path / "bed.json")


def test_what_comes_next_is_one_step_later(tmp_path: Path) -> None:
    music = read_music(write(tmp_path / "small.json", SMALL))
    batch = next_notes(music.train)
    assert batch.lengths.tolist() == [2, 1]
    assert batch.inputs.shape == batch.targets.shape == (2, 2, KEYS)
    torch.testing.assert_close(batch.inputs[:, 0], music.train[0][:-1])
    torch.testing.assert_close(batch.targets[:, 0], music.train[0][1:])
    assert batch.inputs[1, 1].sum() == batch.targets[1, 1].sum() == 0


def test_loss_counts_true_steps_only(tmp_path: Path) -> None:
    music = read_music(write(tmp_path / "small.json", SMALL))
    torch.manual_seed(0)
    model = Readout("gru", KEYS, 5, KEYS, wanted="symbols", last=False)
    together = model.loss(next_notes(music.train)).value.item()
    alone = [model.loss(next_notes([piece])).value.item() for piece in music.train]
    assert together == pytest.approx((2 * alone[0] + 1 * alone[1]) / 3, rel=1e-5)
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    assert model.loss(next_notes(music.test)).value.item() == pytest.approx(COIN_NATS, rel=1e-6)


def test_the_baseline_is_the_frequencies_it_says() -> None:
    """Against counting with loops."""
    draw = np.random.default_rng(0)
    known = [torch.tensor(draw.integers(0, 2, (7, KEYS)), dtype=torch.float32) for _ in range(3)]
    asked = [torch.tensor(draw.integers(0, 2, (5, KEYS)), dtype=torch.float32)]
    total = 0.0
    for step in range(4):
        for key in range(KEYS):
            was = asked[0][step, key]
            came = seen = 0
            for piece in known:
                for number in range(6):
                    if piece[number, key] == was:
                        seen += 1
                        came += int(piece[number + 1, key])
            chance = (came + 1) / (seen + 2)
            total -= math.log(chance if asked[0][step + 1, key] else 1 - chance)
    of_each = key_by_key_nats(known, asked)
    assert len(of_each) == len(asked)
    assert float(of_each.sum()) == pytest.approx(total, rel=1e-9)


@pytest.mark.skipif(not CHORALES.exists(), reason="the chorales are not here")
def test_the_chorales_are_those_of_the_papers() -> None:
    music = read_music(CHORALES)
    assert [len(part) for part in music] == [229, 76, 77]  # Boulanger-Lewandowski et al. 2012
    # Better than nothing, worse than every network of the papers (8.4 to 9.1).
    steps = sum(len(piece) - 1 for piece in music.test)
    assert 9.5 < float(key_by_key_nats(music.train, music.test).sum()) / steps < 12
