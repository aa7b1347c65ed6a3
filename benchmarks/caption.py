"""How well pictures and videos are captioned, beside baselines: drawn shapes, of which it is known
where each thing is, and where it moves; emoji, and photographs.

scripts/bench caption [--data FOLDER] [NAME ...]
"""

import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

import conveyor
from benchmarks.caption_data import SIDE, write
from benchmarks.moving_shapes import write as write_videos
from benchmarks.runs import run_named
from conveyor.data.video_file import frame_numbers
from conveyor.networks.s2vt import S2VT
from conveyor.tasks.caption.captioner import Captioner
from conveyor.tasks.caption.prepared_captions import all_shown, read_as, store_of
from conveyor.tasks.run import SETTINGS
from conveyor.tasks.settings_file import read_toml

_SMALL = "--channels 48 --hidden 96"
_MOVING = f"{_SMALL} --size 24 --shift 0 --coverage 0 --learning-rate 0.003 --epochs 16"

# What a user would type; MADE has the pictures and the tables.
COMMANDS = {
    "shapes-en": f"fit caption MADE/shapes.csv --caption en {_SMALL} --epochs 8",
    "shapes-vi": f"fit caption MADE/shapes.csv --caption vi {_SMALL} --epochs 8",
    "shapes-hard": f"fit caption MADE/shapes.csv --caption en --attention hard {_SMALL} --epochs 8",
    "new-pairs": f"fit caption MADE/new_pairs.csv --caption en {_SMALL} --epochs 5",
    "moving-en": f"fit caption MADE/moving.csv --caption en --frames 12 {_MOVING}",
    "moving-vi": f"fit caption MADE/moving.csv --caption vi --frames 12 {_MOVING}",
    # More and smaller steps, and no dropout.
    "moving-steps": (
        f"fit caption MADE/moving.csv --caption en --frames 12 {_SMALL} --size 24 --shift 0 "
        "--coverage 0 --dropout 0 --batch 16 --learning-rate 0.004 --epochs 13"
    ),
    "moving-s2vt": (
        f"fit caption MADE/moving.csv --caption en --frames 12 --decoder s2vt {_MOVING}"
    ),
    # The first and the last frame alone.
    "moving-ends": f"fit caption MADE/moving.csv --caption en --frames 2 {_MOVING}",
    "emoji-en": "fit caption MADE/captions.csv --caption en --coverage 0 --epochs 25",
    "emoji-vi": "fit caption MADE/captions.csv --caption vi --coverage 0 --epochs 25",
    "flickr": "fit caption MADE/captions.csv --min-count 3 --epochs 3",
}
_ARCHIVES = {
    "emoji": ("emoji-captions", "images.tar"),
    "flickr": ("flickr8k-1000", "images128.tar"),
}


def _make(name: str, data: Path, folder: Path) -> None:
    """Write what a command reads."""
    kind = name.partition("-")[0]
    if kind == "moving":
        write_videos(folder, train=5000, test=500)
        return
    if kind not in _ARCHIVES:
        write(folder, train=4000, test=500)
        return
    source, archive = _ARCHIVES[kind]
    with tarfile.open(data / source / archive) as pictures:
        pictures.extractall(folder, filter="data")
    (folder / "captions.csv").write_bytes((data / source / "captions.csv").read_bytes())


def attention_on_things(
    network: Captioner, folder: Path, table: Path, language: str
) -> dict[str, float]:
    """Return how much of the attention lies on the thing that is being named, the share of words
    for which the likeliest place does, and the share of places that things cover: what an even look
    would have. Of captions that are right.

    Args:
        network: the network of a run.
        folder: the run's.
        table: of the shapes.
        language: "en" or "vi".
    """
    data: Any = read_toml(folder / SETTINGS).data
    pictures = read_as(table, data)
    store = store_of(pictures, data, 0, lambda line: None)
    shown = all_shown(pictures, store, network.reader)
    frame = pl.read_csv(table).unique("image", keep="first", maintain_order=True)
    rows = [row for row, part in enumerate(frame["part"]) if part == "test"]
    on, top, even, words = 0.0, 0.0, 0.0, 0
    for row in rows:
        seen = shown.seen([row])
        written = network.captioned(network.hypotheses(seen, beam=5)[0][0])
        if written.text not in shown.references[row]:
            continue
        weights, _ = network.attention_while(seen, written.symbols)
        for thing in json.loads(frame["things"][row]):
            place = _found(written.tokens, thing[language].split())
            inside = _places(thing["box"], network.grid)
            for number in place:
                on += float(weights[number][inside].sum())
                top += bool(inside[int(weights[number].argmax())])
                even += float(inside.float().mean())
                words += 1
    count = max(words, 1)
    return {"on_thing": on / count, "likeliest_on_thing": top / count, "even": even / count}


def attention_on_moves(
    network: Captioner, folder: Path, table: Path, language: str
) -> dict[str, float]:
    """Return how much of the attention lies on the frames of a move while its direction is named,
    and the share of frames that the move takes: what an even look would have. Of captions that are
    right.

    Args:
        network: the network of a run.
        folder: the run's.
        table: of the moving shapes.
        language: "en" or "vi".
    """
    data: Any = read_toml(folder / SETTINGS).data
    pictures = read_as(table, data)
    store = store_of(pictures, data, data.frames, lambda line: None)
    shown = all_shown(pictures, store, network.reader)
    frame = pl.read_csv(table)
    rows = [row for row, part in enumerate(frame["part"]) if part == "test"]
    on, even, words = 0.0, 0.0, 0
    for row in rows:
        seen = shown.seen([row])
        written = network.captioned(network.hypotheses(seen, beam=5)[0][0])
        if written.text not in shown.references[row]:
            continue
        weights, _ = network.attention_while(seen, written.symbols)
        count = len(np.load(table.parent / frame["video"][row], mmap_mode="r"))
        read = torch.tensor(frame_numbers(count, data.frames))
        begin = 0
        for move in json.loads(frame["moves"][row]):
            said = move[language].split()
            place = _found(written.tokens[begin:], said)
            number = begin + place[-1]
            begin += place[-1] + 1
            inside = (read >= move["first"]) & (read <= move["last"])
            on += float(weights[number, : len(read)][inside].sum())
            even += float(inside.float().mean())
            words += 1
    count = max(words, 1)
    return {"on_move": on / count, "even": even / count, "words": words}


def _found(tokens: Sequence[str], phrase: Sequence[str]) -> range:
    """Return where the words of a thing stand in a caption."""
    size = len(phrase)
    for first in range(len(tokens) - size + 1):
        if list(tokens[first : first + size]) == list(phrase):
            return range(first, first + size)
    return range(0)


def _places(box: Sequence[int], grid: tuple[int, int]) -> torch.Tensor:
    """Return which places a box touches, [places]."""
    top, bottom, left, right = box
    pixels = torch.zeros(SIDE, SIDE)
    pixels[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = 1
    step = SIDE // grid[0]
    touched = pixels.view(grid[0], step, grid[1], step).amax((1, 3)) > 0
    return touched.flatten()


def _look(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """Return where a run on shapes looks."""
    if name.startswith(("emoji", "flickr")):
        return {}
    network = conveyor.load(folder / "run").model
    assert isinstance(network, Captioner)
    if name.startswith("moving"):
        if isinstance(network.decoder, S2VT):
            return {}
        spoken = "vi" if name.endswith("vi") else "en"
        table = folder / "moving.csv"
        return {"attention": attention_on_moves(network, folder / "run", table, spoken)}
    table = folder / ("new_pairs.csv" if name == "new-pairs" else "shapes.csv")
    language = "vi" if name.endswith("vi") else "en"
    return {"attention": attention_on_things(network, folder / "run", table, language)}


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    scores = {
        label: {key: None if value is None else round(value, 4) for key, value in row.items()}
        for label, row in metrics["scores"][0]["rows"].items()
    }
    kept = (
        "bleu_4_interval",
        "brevity",
        "different_captions",
        "nats_a_symbol",
        "leaks",
        "blind",
        "attention",
    )
    return {
        "scores": scores,
        **{key: metrics[key] for key in kept if key in metrics},
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(
        f"{label} BLEU-4 {each['bleu_4']:.1f}, exact {100 * each['exact']:.1f} %"
        for label, each in row["scores"].items()
    )
    return f"{name}: {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "caption", _summary, _line, _make, look=_look)
