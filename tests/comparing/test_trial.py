"""One trial of a comparison: by what it is told apart from others."""

import math
from pathlib import Path

from conveyor.comparing.trial import Draw, run_trial
from conveyor.compiler.show import program_of
from conveyor.tasks.tag.tag_settings import TagSettings
from conveyor.tasks.tag.tagging import Tagging
from conveyor.training.loop import Fitted
from tests.heard import Heard
from tests.tagged import write_conllu

CURVE = ((1, 2.0, 1.0), (2, 1.0, 3.0), (3, 0.5, 2.0))


def test_fits_are_told_apart_by_what_chose_their_weights() -> None:
    assert Fitted("over", CURVE, 1, 1.0).cost == 1.0
    by_score = Fitted("over", CURVE, 2, 1.0, decided_by="accuracy", scores=(0.5, 0.75, 0.25))
    assert by_score.cost == 0.25


def test_a_tagger_is_told_apart_by_its_accuracy(tmp_path: Path) -> None:
    source = write_conllu(tmp_path / "train.conllu")
    values = {"hidden": 4, "words": 4, "characters": 2, "epochs": 2}
    task = Tagging.prepare(source, TagSettings.of(values), Heard())
    draw = Draw(hidden=4, learning_rate=0.02, seed=0)
    outcome = run_trial(task, program_of("lstm"), draw, tmp_path, Heard())
    assert outcome.decided_by == "accuracy"
    tags = sum(len(each) for each in task.prepared.parts[1].tags)
    # What it lacks of 1 is a whole number of wrong tags.
    wrong = outcome.validation * tags
    assert math.isclose(wrong, round(wrong), abs_tol=1e-4)
    assert 0 < wrong < tags
