"""The LSTM and eight variants of it, each with one part changed, on chorales of Bach (Greff,
Srivastava, Koutník, Steunebrink & Schmidhuber 2017, JSB), by ``conveyor compare``. Their finding on
this data: without forget gate or output activation it is significantly worse, and so is full gate
recurrence; without peepholes, without input gate, output gate or input activation, and with coupled
gates it is not. Scaled down: 30 random draws of width (20 to 200, as theirs) and learning rate for
each instead of 200, Adam instead of SGD with momentum, batches of 16 instead of single pieces, at
most 60 epochs instead of 150. Scores are nats per step on the test set; the best fifth of
the trials by validation loss is compared with Welch's t-test, in the paper the best tenth."""

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from scipy.stats import ttest_ind

from benchmarks.evidence.chart import save
from benchmarks.evidence.learning import Learned

DATA = Path("../shared/data/jsb-chorales/JSB_Chorales.json.gz")
# Gone on with after a stop; its report.html is made by conveyor compare.
FOLDER = Path("runs/evidence-variants")
CHART = Path(__file__).parents[2] / "docs" / "variants.svg"
TRIALS = 30
PROCESSES = 2
VANILLA = "lstm_peephole"
# What the paper says of each beside the LSTM with peepholes, on this data.
PUBLISHED = {
    VANILLA: "",
    "lstm": "as good (NP)",
    "lstm_coupled_input": "as good (CIFG)",
    "lstm_no_input_gate": "as good (NIG)",
    "lstm_no_forget_gate": "worse (NFG)",
    "lstm_no_output_gate": "as good (NOG)",
    "lstm_no_input_activation": "as good (NIAF)",
    "lstm_no_output_activation": "worse (NOAF)",
    "lstm_full_recurrence": "worse (FGR)",
}
# Whether all learn for as long, right or not.
STEPS_ARE_FIXED = True
# A tenth of 30 is too few for a t-test; the paper's tenth is 20 of 200.
BEST = 6


@dataclass(frozen=True)
class Trial(Learned):
    """A trial: the score is that of the test set, steps are epochs."""

    validation: float
    hidden: int
    learning_rate: float


def run(seeds: Sequence[int]) -> Iterator[tuple[str, int, Learned]]:
    """Every variant with every draw; ``seeds`` plays no part: a draw holds its own."""
    arguments = f"--trials {TRIALS} --hidden 20:200 --learning-rate 3e-4:3e-2 --epochs 60"
    command = [sys.executable, "-m", "conveyor.cli.start", "compare", str(DATA)]
    command += ["--cells", ",".join(PUBLISHED), *arguments.split(), "--out", str(FOLDER)]
    # One for each core; they share the study, and a third looks at all of it.
    workers = [subprocess.Popen(command) for _ in range(PROCESSES)]
    for worker in workers:
        if worker.wait():
            raise subprocess.CalledProcessError(worker.returncode, command)
    subprocess.run(command, check=True)
    found = json.loads((FOLDER / "ranking.json").read_text(encoding="utf-8"))
    for cell in PUBLISHED:
        for trial in found["trials"]:
            if trial["cell"] == cell:
                losses = (trial["validation"], trial["test"])
                validation, test = (math.inf if each is None else each for each in losses)
                yield (
                    cell,
                    trial["number"],
                    Trial(
                        trial["best_epoch"],
                        False,
                        test,
                        trial["seconds"],
                        validation,
                        trial["hidden"],
                        trial["learning_rate"],
                    ),
                )


def conclude(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Welch's t-test of each variant's best trials against those of the LSTM with peepholes."""

    def best(cell: str) -> list[float]:
        chosen = sorted(runs[cell], key=lambda each: each["validation"])[:BEST]
        return [each["score"] for each in chosen]

    found = {}
    for cell, published in PUBLISHED.items():
        mean = statistics.mean(best(cell))
        chance = 1.0
        if cell != VANILLA:
            chance = float(ttest_ind(best(cell), best(VANILLA), equal_var=False).pvalue)
        found[cell] = {"mean_of_best": mean, "best": best(cell)[0], "p": chance}
        worse = mean > found[VANILLA]["mean_of_best"]
        seen = "no difference" if chance >= 0.05 else ("worse" if worse else "better")
        print(
            f"{cell:<28} best {best(cell)[0]:.3f}  mean of the best {BEST} {mean:.3f}  "
            f"p {chance:.3f}  {'' if cell == VANILLA else seen:<14} paper: {published}"
        )
    _draw(runs)
    return found


def _draw(runs: dict[str, list[dict[str, Any]]]) -> None:
    """Box plots of all trials, the variant with the best trial on top; docs/evidence.md shows
    it."""

    def best(cell: str) -> float:
        found: float = min((each["validation"], each["score"]) for each in runs[cell])[1]
        return found

    order = sorted(PUBLISHED, key=best, reverse=True)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    scores = [[each["score"] for each in runs[cell]] for cell in order]
    axes.boxplot(
        scores,
        orientation="horizontal",
        tick_labels=order,
        widths=0.6,
        medianprops={"color": "#D55E00", "linewidth": 2},
        flierprops={"marker": ".", "markersize": 4},
    )
    axes.plot([best(cell) for cell in order], range(1, len(order) + 1), "o", color="#0072B2")
    axes.set_xlim(8.2, 12)
    axes.set_xlabel("nats per step on the test set (blue: the trial with the best validation loss)")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, CHART)
