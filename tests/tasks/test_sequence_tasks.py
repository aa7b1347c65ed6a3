"""Music, digits and classic tasks made ready: what is in which part."""

import json
from pathlib import Path
from typing import Any

import torch

from conveyor.tasks.classic.classic_settings import ClassicData, ClassicSettings
from conveyor.tasks.classic.classic_task import ClassicTask
from conveyor.tasks.music.music_settings import MusicSettings
from conveyor.tasks.music.polyphonic_music import PolyphonicMusic
from conveyor.tasks.pixels.pixel_by_pixel import PixelByPixel
from conveyor.tasks.pixels.pixel_settings import PixelData, PixelSettings
from tests.sequences import write_digits, write_music


def silent(line: str) -> None:
    """Say nothing."""


def classic(seed: int) -> ClassicTask:
    data = ClassicData(name="adding", steps=6, examples=1000, data_seed=seed)
    return ClassicTask(ClassicSettings(data=data), silent)


def test_parts_of_a_classic_task_are_drawn_apart() -> None:
    every = torch.arange(1000)
    parts = []
    for seed in range(4):
        made = classic(seed)
        parts += [made.train.take(every), made.validation.take(every), made.asked]
    sums = {round(float(part.inputs.double().sum()), 6) for part in parts}
    assert len(sums) == 12
    assert classic(0).digest == classic(0).digest != classic(1).digest


def test_pixels_are_read_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    write_digits(tmp_path, train=5010, test=30)
    lines, mixed = (
        PixelByPixel(tmp_path, PixelSettings(data=PixelData(order=order)), silent)
        for order in (None, 3)
    )
    order = torch.randperm(6, generator=torch.Generator().manual_seed(3))
    assert not torch.equal(order, torch.arange(6))
    some = torch.tensor([0, 4])
    for one, other in ((lines.train, mixed.train), (lines.validation, mixed.validation)):
        assert torch.equal(one.take(some).inputs[order], other.take(some).inputs)
    assert len(lines.train) == 10
    assert len(lines.validation) == 5000
    # The first pixel says the class: with it the answers are right in either order.
    model: Any = torch.nn.Linear(1, 1)
    first = int((order == 0).nonzero())
    for problem, place in ((lines, 0), (mixed, first)):
        model.forward = lambda batch, place=place: torch.nn.functional.one_hot(
            (batch.inputs[place, :, 0] * 255 / 25).round().long(), 10
        )
        assert problem.score(model) == 0


def test_music_is_other_data_if_a_piece_is_in_another_part(tmp_path: Path) -> None:
    file = write_music(tmp_path / "music.json")
    before = PolyphonicMusic(file, MusicSettings(), silent).digest
    music = json.loads(file.read_text())
    music["valid"].insert(0, music["train"].pop())
    file.write_text(json.dumps(music))
    assert PolyphonicMusic(file, MusicSettings(), silent).digest != before
