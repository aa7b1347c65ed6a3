"""What the help says of numbers is what the program does."""

import re
from functools import cache

import pytest
import torch
from typer.testing import CliRunner

from conveyor.cli.app import app
from conveyor.networks.search import sampling_distribution
from conveyor.tasks.classify.classify_settings import ClassifySettings
from conveyor.tasks.forecast.prepared_table import LONGEST
from conveyor.tasks.sound.sound_settings import SoundData
from conveyor.tasks.text.text_settings import TextData, TextSettings


@cache
def help_of(*command: str) -> str:
    """The help of a command on one line."""
    ran = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert ran.exit_code == 0
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", ran.output).split())


@cache
def panels_of(*command: str) -> dict[str, dict[str, str]]:
    """The options in the help of a command by the headings above them, each with its line."""
    ran = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert ran.exit_code == 0
    panels: dict[str, dict[str, str]] = {}
    heading = ""
    for line in ran.output.splitlines():
        if above := re.match(r"╭─ (.*?) ─", line):
            heading = above[1]
            panels[heading] = {}
        elif option := re.match(r"│ (?:[* ] *)?(--[a-z-]+)", line):
            panels[heading][option[1]] = line
    return panels


def test_a_temperature_below_one_is_safer() -> None:
    """The likeliest character is drawn more often the lower it is."""
    assert "Below 1 safer, above 1 more varied" in help_of("generate")
    logits = torch.tensor([1.0, 0.5, 0.0, -1.0])
    likeliest = [
        float(sampling_distribution(logits, temperature=heat).max())
        for heat in (0.25, 0.5, 1.0, 2.0)
    ]
    assert likeliest == sorted(likeliest, reverse=True)


@pytest.mark.parametrize(
    ("says", "holds"),
    [
        (
            "truncated BPTT (1 or more); by the task unless given",
            TextData().chunk != SoundData().chunk,
        ),
        (
            "stand for a symbol (1 or more); by the task unless given",
            TextSettings().network.embedding != ClassifySettings().network.embedding,
        ),
        ("for lstm_projected (0 or more); 0 unless given", TextSettings().network.projection == 0),
        ("Steps ahead (1 or more); by default one season, or 12", LONGEST > 12),
    ],
)
def test_what_compare_says_of_what_is_not_given(says: str, holds: bool) -> None:
    assert says in help_of("compare")
    assert holds
