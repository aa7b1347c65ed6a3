"""``conveyor compare`` on every task, gone on with, and given nonsense."""

import html
import json
import os
import re
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conveyor.tasks.forecast.baselines import BASELINES
from conveyor.training.checkpoints import Progress
from tests.cli.conftest import Cli
from tests.kinds import LONG
from tests.sequences import write_digits, write_music
from tests.series import write_verses
from tests.warm_python import Started

QUICK = ("--hidden", "3:8", "--epochs", "2", "--trials", "2")
FORECAST = ("--target", "value", "--horizon", "3", "--history", "7")


def test_cells_are_ranked_on_a_table(cli: Cli, series: Path) -> None:
    ran = cli("compare", series, "--cells", "lstm,gru", *FORECAST, *QUICK)
    assert ran.code == 0, ran.err
    folder = series.parent / "runs" / "compare-series"
    assert {each.name for each in folder.iterdir()} == {"study.db", "ranking.json", "report.html"}
    found = json.loads((folder / "ranking.json").read_text())
    assert {each["cell"] for each in found["ranking"]} == {"lstm", "gru"}
    assert len(found["trials"]) == 4
    assert set(found["baselines"]) == set(BASELINES)
    tests = [each["test"] for each in found["ranking"]]
    assert tests == sorted(tests)
    for word in ("draw 2: gru", "MAE in standard deviations", "seasonal naive", "95 % interval"):
        assert word in ran.out
    best = found["ranking"][0]
    assert f"--cell {best['cell']} --hidden {best['best']['hidden']}" in ran.out
    assert found["settings"]["data.horizon"] == 3
    assert found["settings"]["hidden"] == [3, 8]
    page = (folder / "report.html").read_text()
    for part in ('id="trials"', 'id="learning_rate"', 'id="hidden"', "seasonal naive", "95 %"):
        assert part in page


def test_the_next_command_fits_the_winner(cli: Cli, series: Path) -> None:
    """What compare does to a cell is what fit does, to the last digit."""
    ran = cli(
        "compare", series, "--cells", "gru", *FORECAST, "--trials", "2", "--epochs", "2",
        "--hidden", "3:8", "--no-linear",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    ranked = json.loads((series.parent / "runs/compare-series/ranking.json").read_text())
    best = ranked["ranking"][0]["best"]
    line = next(each for each in ran.out.splitlines() if each.startswith("Next:"))
    _, program, *arguments = shlex.split(line)
    assert program == "conveyor"
    ran = cli(*arguments)
    assert ran.code == 0, ran.err
    run = series.parent / "runs" / "compare-series" / "best"
    metrics = json.loads((run / "metrics.json").read_text())
    np.testing.assert_allclose(best["test"], metrics["scaled"]["gru"]["mae"], rtol=1e-6)
    losses = [row[2] for row in metrics["fit"]["curve"]]
    np.testing.assert_allclose(best["validation"], min(losses), rtol=1e-6)


def test_the_report_says_how_to_repeat_the_comparison(cli: Cli, tmp_path: Path) -> None:
    write_music(tmp_path / "-music.json")
    storage = f"sqlite:///{tmp_path / 'secret.db'}"
    ran = cli(
        "compare", "--cells", "rnn", "--hidden", "4", "--epochs", "1", "--trials", "2", "--seed",
        "3", "--task", "music", "--out", "a b", "--storage", storage, "--", "-music.json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    page = (tmp_path / "a b" / "report.html").read_text()
    assert "secret" not in page  # a database's address may hold a password
    again, fit = (html.unescape(each) for each in re.findall("<pre>(conveyor .*?)</pre>", page))
    assert f"Next:   {fit}" in ran.out
    copied = f"{again} --storage {shlex.quote(storage)} --study=-music"
    ran = cli(*shlex.split(copied)[1:])
    assert ran.code == 0, ran.err
    assert "2 trials are known already" in ran.out
    assert "\ndraw " not in ran.out


def test_the_same_command_goes_on(cli: Cli, tmp_path: Path) -> None:
    music = write_music(tmp_path / "music.json")
    begun = ("compare", music, "--hidden", "4", "--epochs", "1")
    assert cli(*begun, "--cells", "rnn", "--trials", "1").code == 0
    assert cli(*begun, "--cells", "rnn,gru", "--trials", "1").code == 0
    assert cli(*begun, "--cells", "rnn", "--trials", "2").code == 0
    ran = cli(*begun, "--cells", "rnn,gru", "--trials", "1")
    assert "1 trial is left out: not every cell was tried with the same draws yet" in ran.out
    ran = cli(*begun, "--cells", "rnn,gru", "--trials", "3")
    assert ran.code == 0, ran.err
    assert "3 trials are known already" in ran.out
    assert "left out" not in ran.out
    assert ran.out.count("\ndraw ") == 3
    assert "key by key" in ran.out
    assert "nats per step" in ran.out
    assert "Next:   conveyor fit music" in ran.out
    other = cli(*begun[:-1], "2", "--cells", "rnn", "--trials", "2")
    assert other.code == 2
    assert "training.epochs: 1 there, 2 now" in other.err
    assert "--overwrite" in other.err
    anew = cli(*begun[:-1], "2", "--cells", "rnn", "--trials", "1", "--overwrite")
    assert anew.code == 0, anew.err
    assert anew.out.count("\ndraw ") == 1


@pytest.mark.parametrize("name", ["a b", "50%20", "what?", "a#b"] if LONG else ["a#b 50%20 what?"])
def test_folders_of_any_name(cli: Cli, tmp_path: Path, name: str) -> None:
    music = write_music(tmp_path / "music.json")
    ran = cli(
        "compare", music, "--cells", "rnn", "--hidden", "4", "--epochs", "1", "--trials", "1",
        "--out", name,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert {each.name for each in (tmp_path / name).iterdir()} == {
        "study.db", "ranking.json", "report.html",
    }  # fmt: skip


def test_several_machines_name_one_database(cli: Cli, tmp_path: Path) -> None:
    music = write_music(tmp_path / "music.json")
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    for out in ("one", "two"):
        ran = cli(
            "compare", music, "--cells", "rnn", "--hidden", "4", "--epochs", "1", "--trials", "1",
            "--storage", storage, "--study", "ours", "--out", out,
        )  # fmt: skip
        assert ran.code == 0, ran.err
        assert not (tmp_path / out / "study.db").exists()
        assert (tmp_path / out / "report.html").exists()
    assert "known already" in ran.out


def test_cells_are_ranked_on_a_text(cli: Cli, tmp_path: Path) -> None:
    verses = write_verses(tmp_path / "verses.txt")
    ran = cli(
        "compare", verses, "--cells", "mgu", *QUICK, "--batch", "4", "--chunk", "20",
        "--embedding", "4",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "3-gram" in ran.out
    assert "mgu alone was tried" in ran.out


@pytest.mark.parametrize(
    ("name", "steps", "said"),
    [
        ("adding", 10, ("mean squared error", "without looking")),
        ("reber", 0, ("share of wrong sequences", "without looking")),
        ("sines", 20, ("mean squared error", "always the mean")),
    ],
)
def test_cells_are_ranked_on_a_classic_task(
    cli: Cli, tmp_path: Path, name: str, steps: int, said: tuple[str, str]
) -> None:
    options = ("--steps", str(steps)) if steps else ()
    ran = cli("compare", name, "--cells", "gru,rnn", *QUICK, "--examples", "60", *options)
    assert ran.code == 0, ran.err
    score, baseline = said
    assert f"On the test set, {score}" in ran.out
    assert baseline in ran.out
    assert f"Next:   conveyor fit classic {name}" in ran.out
    found = json.loads((tmp_path / f"runs/compare-{name}/ranking.json").read_text())
    assert found["settings"]["data.name"] == name
    assert found["settings"]["data.steps"] == steps


def test_a_classic_task_that_can_be_learned_is_learned(cli: Cli, tmp_path: Path) -> None:
    """Which of two classes the first three numbers say: not looking costs 0.25."""
    ran = cli(
        "compare", "two_sequence", "--cells", "lstm", "--steps", "8", "--examples", "400",
        "--hidden", "12", "--learning-rate", "1e-2", "--epochs", "12", "--trials", "1",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "runs/compare-two_sequence/ranking.json").read_text())
    assert found["ranking"][0]["test"] < 0.01
    assert found["baselines"]["without looking"] == pytest.approx(0.25, rel=0.02)


def test_cells_are_ranked_on_a_drawn_text(cli: Cli, tmp_path: Path) -> None:
    ran = cli(
        "compare", "xml", "--cells", "rnn", "--hidden", "4", "--epochs", "1", "--trials", "1",
        "--minutes", "5", "--out", "here",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "nats per character" in ran.out
    line = next(each for each in ran.out.splitlines() if each.startswith("Next:"))
    assert "conveyor fit text xml" in line
    assert "--data-seed 0" in line
    found = json.loads((tmp_path / "here" / "ranking.json").read_text())
    ran = cli(*shlex.split(line.removeprefix("Next:"))[1:])
    assert ran.code == 0, ran.err
    best = json.loads((tmp_path / "here" / "best" / "metrics.json").read_text())
    fitted = best["scores"][0]["rows"]["rnn"]["nats_per_character"]
    assert fitted == pytest.approx(found["ranking"][0]["test"], rel=1e-6)


def test_cells_are_ranked_on_digits(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    write_digits(folder, train=5600, test=1500)
    quick = ("--cells", "gru", "--hidden", "24", "--learning-rate", "2e-2", "--trials", "1")
    ran = cli("compare", folder, *quick, "--epochs", "8", "--batch", "20")
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "runs/compare-digits/ranking.json").read_text())
    assert found["baselines"]["most frequent digit"] == pytest.approx(0.9, abs=0.02)
    assert found["ranking"][0]["test"] < 0.5
    other = cli("compare", folder, *quick, "--epochs", "1", "--order", "1", "--out", "permuted")
    assert other.code == 0, other.err
    asked = [
        json.loads((tmp_path / at / "ranking.json").read_text())["settings"]["data.order"]
        for at in ("runs/compare-digits", "permuted")
    ]
    assert asked == [None, 1]
    write_digits(folder, train=5000, test=10)
    ran = cli("compare", folder, *quick, "--out", "few")
    assert ran.code == 2
    assert "has 5000 images to train; expected more than the 5000" in ran.err


def test_a_projection_is_for_cells_that_have_one(cli: Cli, tmp_path: Path) -> None:
    music = write_music(tmp_path / "music.json")
    ran = cli(
        "compare", music, "--cells", "lstm,lstm_projected", "--projection", "2", "--hidden", "4",
        "--epochs", "1", "--trials", "1",
    )  # fmt: skip
    assert ran.code == 0, ran.err


def test_what_diverges_is_told(cli: Cli, tmp_path: Path) -> None:
    music = write_music(tmp_path / "music.json")
    ran = cli(
        "compare", music, "--cells", "rnn_relu", "--hidden", "8", "--epochs", "2", "--trials", "1",
        "--learning-rate", "1e30", "--clip", "1e30",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "diverged" in ran.out
    assert "no trial has a score: diverged" in ran.out
    found = json.loads((tmp_path / "runs/compare-music/ranking.json").read_text())
    assert found["trials"][0]["test"] is None


def test_trials_that_cannot_be_made_do_not_end_the_others(cli: Cli, tmp_path: Path) -> None:
    """Among widths from 4 to 10^12 some do not fit into memory, wherever this runs."""
    music = write_music(tmp_path / "music.json")
    ran = cli(
        "compare", music, "--cells", "rnn", "--hidden", f"4:{10**12}", "--epochs", "1",
        "--trials", "3",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "runs/compare-music/ranking.json").read_text())
    for trial in found["trials"]:
        assert trial["lost"] == ("too large for the memory" if trial["hidden"] > 10**6 else "")
    assert {bool(trial["lost"]) for trial in found["trials"]} == {True, False}
    ran = cli(
        "compare", music, "--cells", "rnn", "--hidden", "4", "--minutes", "1e-9", "--out", "b"
    )
    assert ran.code == 0, ran.err
    assert "no trial has a score: no epoch finished in time. Give more --minutes." in ran.out


# Runs the command, and says in a file when a trial is at work.
AT_WORK = """
from pathlib import Path
from conveyor.cli import start
from conveyor.training.checkpoints import Progress

end = Progress.on_train_epoch_end

def and_say(*arguments):
    end(*arguments)
    Path("at work").touch()

Progress.on_train_epoch_end = and_say
start.main()
"""


def test_ctrl_c_twice_is_no_traceback(tmp_path: Path) -> None:
    """The second may come while the trial runs or while it is given up."""
    (tmp_path / "command.py").write_text(AT_WORK)
    music = write_music(tmp_path / "music.json")
    command = ["command.py", "compare", str(music), "--cells", "lstm", "--hidden", "64"]
    command += ["--epochs", "100000", "--patience", "100000", "--out", str(tmp_path / "run")]
    process = Started(*command, folder=tmp_path)
    try:
        until = time.monotonic() + 120
        while process.is_running() and not (tmp_path / "at work").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        ended = process.ended(120)
    finally:
        process.kill()
    said = ended.out + ended.err
    assert ended.code == 130, said
    assert "Traceback" not in said


def test_ctrl_c_after_the_last_batch_is_heard(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Progress.on_train_epoch_end

    def pressed(self: Progress, *arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        end(self, *arguments)

    monkeypatch.setattr(Progress, "on_train_epoch_end", pressed)
    music = write_music(tmp_path / "music.json")
    ran = cli("compare", music, "--cells", "rnn", "--hidden", "4", "--epochs", "1", "--trials", "3")
    assert ran.code == 130
    assert ran.out.count("Ctrl-C") == 1
    assert "this trial will be tried again" in ran.out
    assert "there is nothing to rank" in ran.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--cells", "lstn"), "Did you mean 'lstm'"),
        (("--cells", "lstm,lstm"), "each once"),
        (("--cells", ","), "expected names"),
        (("--cells", "lstm_depth_gated,dglstm"), "are the same cell"),
        (("--cells", "mine.py"), "say which cell of that file"),
        (("--cells", "lstm", "--trials", "0"), "--trials is 0"),
        (("--cells", "lstm", "--seed", "-1"), "seed is -1"),
        (("--cells", "lstm", "--seed", str(2**60)), "expected 0 or more, below 2^60"),
        (("--cells", "lstm", "--hidden", "8:4"), "hidden is 8:4"),
        (("--cells", "lstm", "--hidden", "few"), "--hidden few: expected whole numbers"),
        (("--cells", "lstm", "--learning-rate", "0:1"), "learning rate is 0:1"),
        (("--cells", "lstm", "--task", "musik"), "Did you mean 'music'"),
        (("--cells", "lstm", "--chunk", "5"), "--chunk: only for --task text or sound; this is"),
        (("--cells", "lstm", "--storage", "what"), "expected a database"),
        (("--cells", "lstm", "--storage", "mysql+nosuch://a/b"), "no such kind of database"),
        (("--cells", "lstm_projected"), "lstm_projected has a projection. Give --projection 16"),
        (("--cells", "lstm", "--steps", "5"), "--steps: only for --task classic"),
        (("--cells", "lstm", "--order", "5"), "--order: only for --task pixels"),
    ],
)
def test_nonsense_is_answered_with_a_sentence(
    cli: Cli, series: Path, arguments: tuple[str, ...], says: str
) -> None:
    ran = cli("compare", series, *FORECAST, *arguments)
    assert ran.code == 2
    assert says in ran.err
    assert ran.err.count("\n") <= 2
    assert "Traceback" not in ran.err


def test_the_report_of_something_else_stays(cli: Cli, tmp_path: Path) -> None:
    music = write_music(tmp_path / "music.json")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.html").write_text("mine")
    ran = cli("compare", music, "--cells", "rnn", "--out", "run")
    assert ran.code == 2
    assert "report of something else" in ran.err
    assert (tmp_path / "run" / "report.html").read_text() == "mine"


def test_an_out_that_is_a_file(cli: Cli, tmp_path: Path) -> None:
    music = write_music(tmp_path / "music.json")
    ran = cli("compare", music, "--cells", "rnn", "--out", music)
    assert ran.code == 2
    assert "is a file; expected a folder" in ran.err


def test_the_next_command_reads_a_file_that_begins_with_a_dash(cli: Cli, tmp_path: Path) -> None:
    write_verses(tmp_path / "-verses.txt")
    ran = cli(
        "compare", "--cells", "rnn", *QUICK, "--batch", "4", "--chunk", "20", "--", "-verses.txt"
    )
    assert ran.code == 0, ran.err
    line = next(each for each in ran.out.splitlines() if each.startswith("Next:"))
    assert " fit text ./-verses.txt " in line
    ran = cli(*shlex.split(line)[2:])
    assert ran.code == 0, ran.err


def test_files_that_say_nothing_of_their_task(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    path.write_text("1")
    ran = cli("compare", path, "--cells", "lstm")
    assert ran.code == 2
    assert "Give --task" in ran.err
    assert "adding, adding_tcn" in ran.err
    ran = cli("compare", "ading", "--cells", "lstm")
    assert ran.code == 2
    assert "no such file, folder or classic task. Did you mean 'adding'" in ran.err
    ran = cli("compare", "ading", "--task", "classic", "--cells", "lstm")
    assert ran.code == 2
    assert "Did you mean 'adding'" in ran.err
    ran = cli("compare", "reber", "--steps", "9", "--cells", "lstm")
    assert ran.code == 2
    assert "lengths of their own" in ran.err
    for option in ("--steps", "--examples"):
        ran = cli("compare", "adding", option, str(10**11), "--cells", "lstm")
        assert ran.code == 2
        assert "does not fit into memory. Lower --steps or --examples" in ran.err
    ran = cli("compare", tmp_path / "no.csv", "--cells", "lstm", "--target", "y")
    assert ran.code == 2
    assert "no such file" in ran.err
    ran = cli("compare", tmp_path / "no.csv", "--cells", "lstm")
    assert "--target is missing" in ran.err
    ran = cli("compare", tmp_path / "no.json", "--cells", "lstm", "--split", "0.5/0.25/0.25")
    assert "music comes in parts already" in ran.err


def test_cells_of_equal_size_instead_of_equal_width(cli: Cli, tmp_path: Path) -> None:
    sizes = ("--steps", "10", "--examples", "100", "--trials", "1", "--epochs", "1")
    ran = cli("compare", "adding", "--cells", "lstm,mgu", *sizes, "--parameters", "700")
    assert ran.code == 0, ran.err
    folder = next(tmp_path.rglob("ranking.json")).parent
    ranking = json.loads((folder / "ranking.json").read_text())
    by_cell = {row["cell"]: row["best"] for row in ranking["ranking"]}
    assert by_cell["mgu"]["hidden"] > by_cell["lstm"]["hidden"]
    assert all(600 < best["parameters"] <= 700 for best in by_cell.values())
    best = ranking["ranking"][0]
    assert f"--cell {best['cell']} --hidden {best['best']['hidden']}" in ran.out
    assert "--parameters 700" in (folder / "report.html").read_text()
    both = cli("compare", "adding", "--cells", "lstm", "--parameters", "700", "--hidden", "8")
    assert both.code == 2
    assert "--hidden, --parameters: one follows from the other" in both.err
    widths = cli("compare", "adding", "--cells", "lstm,mgu", *sizes)
    assert widths.code == 2
    assert "hidden: by parameters there, [16, 128] now" in widths.err
    few = cli("compare", "adding", "--cells", "lstm", *sizes, "--parameters", "10", "--out", "x")
    assert few.code == 2
    assert "--parameters 10: a network of one unit has" in few.err
