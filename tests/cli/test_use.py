"""Predict and evaluate on tables other than the fitted one; what they say, and what they write."""

import io
from pathlib import Path

import numpy as np
import polars as pl

from tests.cli.conftest import QUICK_FORECAST, Cli


def test_changes_around_a_large_level_are_forecast(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    draw = np.random.default_rng(0)
    values = 10**12 + 10 * np.sin(2 * np.pi * np.arange(200) / 7) + draw.standard_normal(200)
    path.write_text("y\n" + "\n".join(f"{value:.3f}" for value in values))
    assert cli("fit", "forecast", path, "--target", "y", "--out", "run", *QUICK_FORECAST).code == 0
    table = pl.read_csv(io.StringIO(cli("predict", "run").out))
    low, middle, high = (table[f"y_q{level}"].to_numpy() for level in (10, 50, 90))
    assert (low < middle).all()
    assert (middle < high).all()
    assert (abs(middle - 10**12) < 100).all()


def test_names_of_columns_move_no_terminal(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    name, other = "\x1b]0;owned\x07y", "\x1b[31mred"
    rows = "\n".join(f"{row % 7},{row % 5},text" for row in range(120))
    path.write_text(f"{name},{other},\x1b[2Jwords\n{rows}")
    ran = cli("fit", "forecast", path, "--target", "all", "--out", "run", *QUICK_FORECAST)
    assert ran.code == 0, ran.err
    outputs = [ran, cli("predict", "run"), cli("predict", "run", path)]
    outputs += [cli("evaluate", "run", path), cli("fit", "forecast", path, "--target", "x")]
    path.write_text(f"{name}\n1\nx\n3\n4")
    outputs.append(cli("fit", "forecast", path, "--target", name))
    for ran in outputs:
        assert "\x1b" not in ran.out + ran.err
        assert "\x07" not in ran.out + ran.err
    assert r"\x1b]0;owned\x07y" in outputs[0].out
