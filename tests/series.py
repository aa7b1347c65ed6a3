"""Small series and texts that tests are run on."""

from pathlib import Path

import numpy as np

VERSES = (
    "Trăm năm trong cõi người ta,\nChữ tài chữ mệnh khéo là ghét nhau.\n"
    "Trải qua một cuộc bể dâu,\nNhững điều trông thấy mà đau đớn lòng.\n"
)


def write_series(path: Path, rows: int = 160, *, extra: bool = False, seed: int = 0) -> Path:
    """A daily series with a week's season and a little noise; ``extra`` adds a covariate."""
    draw = np.random.default_rng(seed)
    days = np.datetime64("2020-01-01") + np.arange(rows)
    values = 10 + 3 * np.sin(2 * np.pi * np.arange(rows) / 7) + 0.1 * draw.standard_normal(rows)
    lines = ["date,value" + ",rain" * extra]
    for day, value in zip(days, values, strict=True):
        lines.append(f"{day},{value:.4f}" + f",{draw.random():.3f}" * extra)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_verses(path: Path, times: int = 16) -> Path:
    """The first verses of Truyện Kiều (Nguyễn Du, public domain) so many times over."""
    path.write_text(VERSES * times, encoding="utf-8")
    return path
