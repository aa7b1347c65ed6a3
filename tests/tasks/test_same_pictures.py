"""Pictures that are there more than once: in one part, and counted in one way."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import conveyor
from conveyor.errors import DataError
from conveyor.pages.pixel_image import colour_png
from conveyor.tasks.latent.kinds import read_sequences
from conveyor.tasks.latent.latent_settings import LatentDataSettings
from tests.heard import Heard
from tests.sequences import write_digits
from tests.tasks.test_draw_task import QUICK

DATA = LatentDataSettings(side=8)


def write_copies(folder: Path, different: int, copies: int) -> Path:
    """Grey pictures, of which each is there several times under names far apart."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(different):
        light = draw.integers(256, size=(8, 8, 1), dtype=np.uint8).repeat(3, 2)
        for copy in range(copies):
            (folder / f"{copy}-{number:02}.png").write_bytes(colour_png(light))
    return folder


def test_what_is_the_same_is_in_one_part(tmp_path: Path) -> None:
    data = read_sequences(write_copies(tmp_path / "copies", 20, 3), DATA)
    assert [len(part) for part in data.parts] == [48, 6, 6]
    keys = [data.part_keys(place) for place in range(3)]
    assert [len(set(part)) for part in keys] == [16, 2, 2]
    assert len(set(keys[0]) | set(keys[1]) | set(keys[2])) == 20
    note = "60 pictures are 20 different ones as they are read; those that are the same are in one"
    assert any(note in line for line in data.notes)


def test_pictures_that_differ_have_the_parts_that_they_had(tmp_path: Path) -> None:
    """Runs of earlier builds find their test set: by this order files were split."""
    folder = write_copies(tmp_path / "once", 20, 1)
    first = read_sequences(folder, DATA)
    data = read_sequences(folder, DATA, first.kind)
    assert data.whole is not None
    order = torch.randperm(20, generator=torch.Generator().manual_seed(20151125)).tolist()
    for part, numbers in zip(data.parts, (order[:16], order[16:18], order[18:]), strict=True):
        for picture, number in zip(part, numbers, strict=True):
            assert torch.equal(picture, data.whole[number])
    assert not any("different ones" in line for line in data.notes)


def test_too_few_different_pictures(tmp_path: Path) -> None:
    folder = write_copies(tmp_path / "two", 2, 5)
    said = r"its 10 pictures are only 2 different ones as they are read; expected 3 or more"
    with pytest.raises(DataError, match=said):
        read_sequences(folder, DATA)
    known = read_sequences(write_copies(tmp_path / "many", 5, 1), DATA).kind
    assert len(read_sequences(folder, DATA, known).whole or []) == 10  # a run scores all of them


def test_fitting_and_evaluating_count_the_same_pictures(tmp_path: Path) -> None:
    """Digits have parts of their own, in which the same ones stand often."""
    write_digits(tmp_path, train=60, test=20)
    fitting, evaluating = Heard(), Heard()
    values = {**QUICK, "side": None, "epochs": 1, "vae_epochs": 0, "out": tmp_path / "run"}
    run = conveyor.fit("draw", tmp_path, say=fitting, **values)
    run.evaluate(tmp_path, say=evaluating)
    first = re.search(r"warning: (\d+) pictures of the test set are learned", fitting.text)
    then = re.search(r"warning: (\d+) pictures of these 20 were learned from", evaluating.text)
    assert first is not None
    assert then is not None
    assert first[1] == then[1]
    assert int(first[1]) > 10  # more than there are different ones
