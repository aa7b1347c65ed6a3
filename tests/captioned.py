"""Small pictures and videos with captions: what a captioner can learn in seconds."""

import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from conveyor.compiler.show import program_of
from conveyor.tasks.caption.captioner import Captioner
from conveyor.tasks.caption.captioning import Captioning

COLOURS = {"red": (220, 30, 30), "green": (30, 170, 60), "blue": (40, 60, 220)}
PLACES = {"left": 2, "right": 10}


def drawn(colour: str, place: str, seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture of 16 × 16 pixels with a square."""
    draw = np.random.default_rng(seed)
    pixels = np.full((16, 16, 3), 240) + draw.integers(-10, 10, (16, 16, 3))
    row, column = int(draw.integers(1, 11)), PLACES[place]
    pixels[row : row + 4, column : column + 4] = COLOURS[colour]
    return pixels.clip(0, 255).astype(np.uint8)


def write_captioned(folder: Path, count: int, seed: int = 0) -> Path:
    """Write pictures and a table of their captions, and return the table."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "captions.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("image", "caption"))
        for number in range(count):
            colour, place = str(draw.choice(list(COLOURS))), str(draw.choice(list(PLACES)))
            name = f"{number:03d}.png"
            Image.fromarray(drawn(colour, place, seed + number)).save(folder / name)
            table.writerow((name, f"a {colour} square at the {place}"))
    return path


def moved(colour: str, direction: str, seed: int = 0, frames: int = 6) -> NDArray[np.uint8]:
    """Return a video of 8 × 8 pixels, [frames, 8, 8, 3], of a square that moves by a pixel a
    frame."""
    draw = np.random.default_rng(seed)
    video = np.full((frames, 8, 8, 3), 240) + draw.integers(-10, 10, (frames, 8, 8, 3))
    row = int(draw.integers(1, 5))
    for frame in range(frames):
        column = frame if direction == "right" else frames - 1 - frame
        video[frame, row : row + 3, column : column + 3] = COLOURS[colour]
    return video.clip(0, 255).astype(np.uint8)


def write_moving(folder: Path, count: int, seed: int = 0) -> Path:
    """Write videos as arrays and a table of their captions, and return the table."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "moving.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("video", "caption"))
        for number in range(count):
            colour, way = str(draw.choice(list(COLOURS))), str(draw.choice(["left", "right"]))
            frames = int(draw.integers(4, 7))
            np.save(folder / f"{number:03d}.npy", moved(colour, way, seed + number, frames))
            table.writerow((f"{number:03d}.npy", f"a {colour} square moves {way}"))
    return path


def untrained(task: Captioning, cell: str = "lstm") -> Captioner:
    """Return a network of a task that has learned nothing, and whose numbers are not all alike."""
    torch.manual_seed(0)
    network = task.network(program_of(cell), task.settings.network).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network
