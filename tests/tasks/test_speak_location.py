"""A voice whose attention knows where it has looked, in place of a window."""

from pathlib import Path
from typing import Any

import pytest
import torch

import conveyor
from conveyor.inside.inspect_run import inspect_run
from conveyor.tasks.speak.location_layer import LocationLayer
from conveyor.tasks.speak.voice import Voice
from tests.heard import Heard
from tests.resumed import assert_same_fit
from tests.sung import RATE, TONES, fit_voice, peaks

QUICK: dict[str, Any] = {
    "hidden": 40, "letter_size": 16, "speaker_size": 4, "reduction": 3, "prenet": 32, "bands": 32,
    "batch": 8, "epochs": 40, "learning_rate": 0.02, "attention": "location",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    return fit_voice(tmp_path_factory.mktemp("speak"), **QUICK)


def test_it_sings_and_looks_at_letter_after_letter(run: conveyor.Run) -> None:
    assert isinstance(run.model, Voice)
    weights = run.model.speak("eoa").window
    torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)))
    assert weights.shape[1] == len("eoa") + 1
    sound = run.speak("eoa", speaker="ann")
    for peak, letter in zip(peaks(sound.samples, 3), "eoa", strict=True):
        assert peak == pytest.approx(TONES[letter], rel=0.15)
    assert sound.rate == RATE


def test_saved_loaded_and_looked_into(run: conveyor.Run) -> None:
    loaded = conveyor.load(run.folder)
    assert loaded.speak("ae").samples.tolist() == run.speak("ae").samples.tolist()
    assert inspect_run(run, run.folder.parent / "sung" / "manifest.csv", say=Heard())


def test_a_resumed_run_is_the_uninterrupted_one(run: conveyor.Run, tmp_path: Path) -> None:
    values = {**QUICK, "hidden": 6, "dropout": 0.2, "epochs": 2}
    source = run.folder.parent / "sung" / "manifest.csv"
    whole = conveyor.fit("speak", source, out=tmp_path / "a", say=Heard(), **values)
    out = tmp_path / "b"
    conveyor.fit("speak", source, out=out, say=Heard(), **{**values, "minutes": 1e-4})
    resumed = conveyor.resume(out, source, say=Heard(), minutes=60.0)
    assert_same_fit(resumed.model.state_dict(), whole.model.state_dict())


@torch.no_grad()
def test_a_step_is_that_of_the_whole_text_and_padding_is_not_seen() -> None:
    """In float64, written out here from the equations; a longer neighbour changes nothing."""
    torch.manual_seed(0)
    layer = LocationLayer(3, 4, 5).double()
    read, memory = torch.randn(6, 2, 3).double(), torch.randn(7, 2, 4).double()
    counts = [4, 7]
    outputs, seen, weights = layer(read, layer.attention.prepare(memory, lengths=counts))
    look = layer.attention
    for row, count in enumerate(counts):
        places = memory[:count, row]
        before, saw, state = torch.full((count,), 1 / count).double(), torch.zeros(4).double(), None
        for step in range(6):
            output, state = layer.layer.step(torch.cat([read[step, row], saw]), state)
            features = look.around(before[None, None])[0].T
            compared = look.of_query(output) + look.of_memory(places) + look.of_around(features)
            before = (compared.tanh() @ look.v).softmax(0)
            saw = before @ places
            torch.testing.assert_close(outputs[step, row], output)
            torch.testing.assert_close(seen[step, row], saw)
            torch.testing.assert_close(weights[step, row, :count], before)
        assert not weights[:, row, count:].any()
