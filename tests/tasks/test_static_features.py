"""Columns that have one value for each series."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.data.table_reading import BY_EVIDENCE
from conveyor.errors import DataError, SettingError
from conveyor.tasks.forecast.static_features import static_features

ROWS = 80
KINDS = {"a": ("N", 1.0), "b": ("S", 2.0), "c": ("N", 3.0), "d": ("S", None)}


def _quiet(line: str) -> None:
    """Say nothing."""


def _table() -> pl.DataFrame:
    """In the north series rise by about one a day, in the south they fall."""
    draw = np.random.default_rng(0)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), "1d", eager=True)[:ROWS]
    parts = []
    for shop, (region, size) in KINDS.items():
        moves = (1.0 if region == "N" else -1.0) + 0.1 * draw.normal(size=ROWS)
        columns = {"shop": shop, "day": days, "sold": moves.cumsum(), "region": region}
        parts.append(pl.DataFrame(columns).with_columns(size=pl.lit(size, dtype=pl.Float64)))
    return pl.concat(parts)


def _fit(frame: pl.DataFrame, out: Path, **options: Any) -> conveyor.Run:
    values: dict[str, Any] = {
        "target": "sold", "series": "shop", "horizon": 1, "history": 1, "hidden": 4, "season": 1,
        "members": 1, "epochs": 15, "linear": False, "only_target": True, "say": _quiet,
    }  # fmt: skip
    return conveyor.fit("forecast", frame, out=out, **{**values, **options})


def test_numbers_are_standardised_and_texts_are_kinds() -> None:
    features = static_features(
        "t", ["size", "region"], [("1", "N"), ("3", "S"), ("", "N"), ("2", "")], BY_EVIDENCE
    )
    assert features.names == ("size", "region: N", "region: S")
    want = np.array([[-1.224745, 1, 0], [1.224745, 0, 1], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(np.array(features.values), want, atol=1e-6)
    alone = static_features("t", ["size"], [("5",), ("5",)], BY_EVIDENCE)
    assert alone.values == ((0.0,), (0.0,))
    with pytest.raises(DataError, match="column id has 101 different texts"):
        static_features("t", ["id"], [(f"n{n}",) for n in range(101)], BY_EVIDENCE)


def test_a_network_reads_of_what_kind_a_series_is(tmp_path: Path) -> None:
    """A window of one value shows no direction: only the region tells it."""
    frame = _table()
    run = _fit(frame, tmp_path / "run", static=("region", "size"))
    assert run.frame.static_names == ("region: N", "region: S", "size")
    last = frame.group_by("shop", maintain_order=True).agg(pl.col("sold").last())["sold"]
    moves = run.predict()["sold"].to_numpy() - last.to_numpy()
    np.testing.assert_allclose(moves, [1, -1, 1, -1], atol=0.4)
    without = _fit(frame, tmp_path / "without")
    errors = [one.metrics["scores"][0]["rows"]["lstm"]["mae"] for one in (run, without)]
    assert errors[0] < errors[1] / 2
    # The run knows the kinds: a later table needs no such columns.
    again = conveyor.load(run.folder)
    assert again.predict(frame.drop("region", "size"), say=_quiet).equals(run.predict())
    # Of another kind, the same rows go the other way.
    frame_of = again.model.frame
    assert isinstance(frame_of, type(run.frame))
    swapped = tuple((south, north, size) for north, south, size in frame_of.static)
    again.model.frame = replace(frame_of, static=swapped)
    moves = again.predict()["sold"].to_numpy() - last.to_numpy()
    np.testing.assert_allclose(moves, [-1, 1, -1, 1], atol=0.4)


def test_what_is_not_of_a_series_is_an_error(tmp_path: Path) -> None:
    frame = _table()
    moved = frame.with_columns(
        region=pl.when(pl.int_range(pl.len()) == ROWS + 4).then(pl.lit("N")).otherwise("region")
    )
    with pytest.raises(DataError, match=r"series b, row 85, column region: 'N' differs from 'S'"):
        _fit(moved, tmp_path / "no", static="region")
    with pytest.raises(DataError, match=r"no column 'regoin'\. Did you mean 'region'"):
        _fit(frame, tmp_path / "no", static="regoin")
    with pytest.raises(SettingError, match="no column names series"):
        _fit(frame, tmp_path / "no", static="region", series=())
    with pytest.raises(SettingError, match="size is given twice, or is of another kind"):
        _fit(frame, tmp_path / "no", static="size", past="size", only_target=False)
