"""Pieces of the fitting loop that are ours."""

import math
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import torch

from conveyor.errors import RunError, SettingError
from conveyor.tasks.forecast.forecast_settings import (
    ForecastData,
    ForecastNetwork,
    ForecastSettings,
)
from conveyor.tasks.settings import Training
from conveyor.tasks.settings_file import read_toml, to_toml
from conveyor.tasks.text.text_settings import TextSettings
from conveyor.training.batches import POOL, EpochShuffle, PooledShuffle


def test_every_epoch_has_its_own_order_given_by_seed_and_epoch() -> None:
    shuffle = EpochShuffle(50, seed=3)
    orders = []
    for epoch in (0, 1, 0):
        shuffle.set_epoch(epoch)
        orders.append(tuple(shuffle))
    assert orders[0] == orders[2] != orders[1]
    assert Counter(orders[1]) == Counter(range(50))
    assert tuple(EpochShuffle(50, seed=4)) != orders[0]


def test_of_many_examples_an_epoch_draws_some() -> None:
    """Others in each epoch, so that all come in the end."""
    shuffle = EpochShuffle(50, seed=3, most=10)
    assert len(shuffle) == 10
    drawn = []
    for epoch in range(40):
        shuffle.set_epoch(epoch)
        drawn.append(list(shuffle))
        assert len(set(drawn[-1])) == 10
    assert {number for order in drawn for number in order} == set(range(50))
    assert list(EpochShuffle(5, seed=3, most=10)) == list(EpochShuffle(5, seed=3))


def test_batches_by_length_hold_every_example_once_and_little_padding() -> None:
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 100, (4 * 120 + 3,), generator=draw).tolist()
    shuffle = PooledShuffle(lengths, 4, seed=1)
    orders = []
    for epoch in range(2):
        shuffle.set_epoch(epoch)
        orders.append(list(shuffle))
        assert sorted(orders[-1]) == list(range(len(lengths)))
        batches = [orders[-1][first : first + 4] for first in range(0, len(lengths), 4)]
        spans = [max(lengths[n] for n in b) - min(lengths[n] for n in b) for b in batches]
        # Lengths of a pool are evenly 0.5 apart: four of them span a batch.
        assert max(spans[:-1]) < 400 / (4 * POOL) * 8
        means = [sum(lengths[n] for n in batch) for batch in batches]
        assert means != sorted(means)  # long and short ones are mixed over the epoch
    assert orders[0] != orders[1]
    shuffle.set_epoch(0)
    assert list(shuffle) == orders[0]


@pytest.mark.parametrize(
    "settings",
    [
        TextSettings(),
        ForecastSettings(
            data=ForecastData(target=("y", "z"), time="when", horizon=3, split=(10, 5, 5)),
            network=ForecastNetwork(cell="gru", linear=False, dropout=0.25),
            training=Training(minutes=0.5, seed=7),
        ),
    ],
    ids=["text", "forecast"],
)
def test_settings_survive_a_file(settings: ForecastSettings | TextSettings, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(to_toml(settings))
    assert read_toml(path) == settings
    assert tomllib.loads(path.read_text())["training"]["epochs"] == settings.training.epochs


def test_settings_files_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('task = "text"\n[training]\nlearning_rat = 0.1\n')
    with pytest.raises(
        SettingError, match=r"unknown key 'learning_rat'\. Did you mean 'learning_r"
    ):
        read_toml(path)
    path.write_text('task = "text"\n[training]\nepochs = "many"\n')
    with pytest.raises(SettingError, match="epochs is 'many', expected"):
        read_toml(path)
    path.write_text('task = "poetry"\n')
    with pytest.raises(
        SettingError,
        match=r"task is .poetry.\. There are: caption, chat, classic, classify",
    ):
        read_toml(path)
    path.write_text("task = ")
    with pytest.raises(RunError, match="is corrupt"):
        read_toml(path)


def test_not_a_number_is_no_setting() -> None:
    with pytest.raises(SettingError):
        Training(learning_rate=math.nan)
    with pytest.raises(SettingError):
        Training(clip=math.nan)
