"""Fitting a language model to a text."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf
from pathlib import Path

import torch
from torch import Tensor

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program, dumps
from conveyor.compiler.show import program_of
from conveyor.data.files import json_text, write_whole
from conveyor.data.text import Chunks, Vocabulary, read_text
from conveyor.errors import DataError, RunError, SettingError, counted
from conveyor.tasks import saved
from conveyor.tasks.text.language_model import LanguageModel
from conveyor.tasks.text.ngram import Ngram
from conveyor.training.batches import loaders
from conveyor.training.checkpoints import find_resumed
from conveyor.training.fit import Fitted, fit
from conveyor.training.fitters import StreamFitter
from conveyor.training.memory import in_memory
from conveyor.training.report import write_text_report
from conveyor.training.run_folder import METRICS, REPORT, SETTINGS, open_folder, write_beginning
from conveyor.training.settings import TextData, TextSettings, to_toml
from conveyor.training.stopping import Wish

# Streams that validation and test texts are read in: each begins without a past, so few; more
# than one, because a batch is read in little more time than a single stream.
SCORING_STREAMS = 8

# Counting models, by how many characters they look at.
BASELINES = {"3-gram": 3, "unigram": 1}

# The report shows what the model writes, safer and more varied.
SAMPLE_LENGTH, SAMPLE_TEMPERATURES, SAMPLE_TOP_P = 400, (0.5, 0.8, 1.0), 0.95


@dataclass(frozen=True)
class TextScore:
    """Nats per character on the test part, and the perplexity, e to their power."""

    nats: float

    @property
    def perplexity(self) -> float:
        """How many equally likely characters the model is as unsure as."""
        return exp(self.nats) if self.nats < 700 else inf  # e^709 is the largest of a float


@dataclass(frozen=True)
class TextRun:
    """A fitted language model, how the fit went, everyone's scores (ours first), and what
    it writes, by temperature."""

    model: LanguageModel
    fitted: Fitted
    scores: dict[str, TextScore]
    samples: dict[float, str]
    folder: Path

    @property
    def verdict(self) -> str:
        """Who won, in a sentence."""
        (ours, mine), *others = self.scores.items()
        name, best = min(others, key=lambda item: item[1].nats)
        if mine.nats < best.nats:
            return f"{ours} beats the {name} model: {best.nats - mine.nats:.3f} nats less."
        return (
            f"the baseline wins: the {name} model has {best.nats:.3f} nats per character, {ours} "
            f"{mine.nats:.3f}. Train longer (--epochs), or give more text."
        )


@dataclass(frozen=True)
class PreparedText:
    """A text as numbers, cut into its parts: chunks to train on, to validate and to test."""

    text: str
    vocabulary: Vocabulary
    numbers: Tensor
    cuts: tuple[int, int]
    train: Chunks
    validation: Chunks
    test: Chunks

    def baselines(self) -> dict[str, TextScore]:
        """What counting models of the training part score on the test part."""
        known, rest = self.numbers[: self.cuts[0]].tolist(), self.numbers[self.cuts[1] :].tolist()
        return {
            name: TextScore(Ngram(known, order, len(self.vocabulary)).nats(rest))
            for name, order in BASELINES.items()
        }


def _scoring_streams(characters: int) -> int:
    """How many streams a part is scored in: fewer where it is too short for all."""
    return min(SCORING_STREAMS, characters - 1)


def _check_parts(
    path: Path, settings: TextData, lengths: tuple[int, int, int], streams: int
) -> None:
    """Each part must hold a character and its next; the training part as many as streams need.

    Raises:
        DataError: one is too short.
    """
    whole = counted(sum(lengths), "character")
    split = "/".join(f"{part:g}" for part in settings.split)
    for name, length in zip(("training", "validation", "test"), lengths, strict=True):
        if length < 2:
            larger = round(0.6 * sum(lengths))
            other = ", or larger parts, as --split 0.6/0.2/0.2" if sum(lengths) >= 10 else ""
            other += f" --batch {larger - 1}" * bool(other and larger <= streams)
            raise DataError(
                f"{path}: the text has {whole}, and with --split {split} the {name} part has "
                f"{length}; expected 2 or more in each part. Give a longer text{other}."
            )
    if lengths[0] <= streams:
        raise DataError(
            f"{path}: the training part has {counted(lengths[0], 'character')}; "
            f"{counted(streams, 'stream')} of text need {streams + 1:,} or more. Give a longer "
            f"text, or --batch {lengths[0] - 1} or less."
        )


def prepare_text(
    path: Path, settings: TextData, streams: int, say: Callable[[str], None]
) -> PreparedText:
    """Read a text and cut it into its parts; the training part is read in so many streams.

    Raises:
        DataError: it cannot be used.
    """
    text = read_text(path)
    first = round(len(text) * settings.split[0])
    second = round(len(text) * (settings.split[0] + settings.split[1]))
    _check_parts(path, settings, (first, second - first, len(text) - second), streams)
    vocabulary = Vocabulary.of(text[:first])
    numbers = vocabulary.encode(text)
    unknown = int((numbers[first:] == 0).sum())
    prepared = PreparedText(
        text,
        vocabulary,
        numbers,
        (first, second),
        Chunks(numbers[:first], streams, settings.chunk),
        Chunks(numbers[first:second], _scoring_streams(second - first), settings.chunk),
        Chunks(numbers[second:], _scoring_streams(len(text) - second), settings.chunk),
    )
    different = counted(len(vocabulary) - 1, "different one")
    say(f"{counted(len(text), 'character')}, {different} in the training part")
    if unknown:
        many = "is unknown there and stands" if unknown == 1 else "are unknown there and stand"
        say(f"{counted(unknown, 'character')} behind it {many} as one character")
    return prepared


def language_model(
    vocabulary: Vocabulary, settings: TextSettings, program: Program
) -> LanguageModel:
    """An untrained language model as the settings say."""
    network = settings.network
    return LanguageModel(
        program,
        vocabulary,
        hidden=network.hidden,
        layers=network.layers,
        dropout=network.dropout,
        projection=network.projection,
        embedding=settings.data.embedding,
    )


def digest_of(text: str, program: Program | None = None) -> str:
    """Names a text, and a cell, to know them again."""
    cell = dumps(program) if program else ""
    return hashlib.sha256((text + cell).encode()).hexdigest()


def fit_text(
    path: Path,
    settings: TextSettings,
    folder: Path,
    *,
    cell: Cell | Program | None = None,
    overwrite: bool = False,
    resume: bool = False,
    say: Callable[[str], None] = print,
    wish: Wish | None = None,
) -> TextRun:
    """Fit a language model to a text file and write its run folder.

    Args:
        path: a text in UTF-8.
        cell: used instead of ``settings.network.cell``.
        overwrite, resume: see ``open_folder``.
        say: where lines for the user go.
        wish: what may end the training early; the model is scored and written even so.

    Raises:
        DataError, SettingError, RunError, SaveError: see their texts.
    """
    wish = wish or Wish()
    training = settings.training
    if training.devices > 1:
        raise SettingError(
            "a text is read in order, its state carried along, so on one device: --devices 1."
        )
    torch.manual_seed(training.seed)
    prepared = prepare_text(path, settings.data, training.batch, say)
    vocabulary, train = prepared.vocabulary, prepared.train
    program = program_of(settings.network.cell if cell is None else cell)
    with in_memory():
        model = language_model(vocabulary, settings, program)
    open_folder(folder, overwrite=overwrite, resume=resume)
    count = sum(each.numel() for each in model.parameters())
    say(
        f"{model.recurrent.program.name} with {counted(count, 'parameter')}, "
        f"{counted(training.batch, 'stream')} in chunks of {counted(settings.data.chunk, 'step')}, "
        f"{counted(len(train), 'chunk')} an epoch"
    )
    fitter = StreamFitter(model, training, digest_of(prepared.text, program))
    resumed = find_resumed(folder, fitter, say) if resume else None
    write_beginning(folder, settings, program)
    batches = loaders(train, prepared.validation, training, streams=True)
    with wish.listening():
        fitted = fit(fitter, batches, folder, resumed=resumed, say=say, wish=wish)
        run = _scored(model.eval(), fitted, prepared, folder)
        _write(run, settings, path)
    return run


def _scored(model: LanguageModel, fitted: Fitted, prepared: PreparedText, folder: Path) -> TextRun:
    """The run of a fitted model, with everyone's scores and with what it writes."""
    name = model.recurrent.program.name
    title = name if name not in BASELINES else f"{name} (cell)"
    scores = {title: TextScore(model.nats(prepared.test)), **prepared.baselines()}
    samples = {
        temperature: "".join(
            model.generate("", SAMPLE_LENGTH, temperature=temperature, top_p=SAMPLE_TOP_P)
        )
        for temperature in SAMPLE_TEMPERATURES
    }
    return TextRun(model, fitted, scores, samples, folder)


def _write(run: TextRun, settings: TextSettings, path: Path) -> None:
    saved.save(run.folder, run.model)
    metrics = {
        "task": "text",
        "part": "test",
        "scores": {
            name: {"nats_per_character": each.nats, "perplexity": each.perplexity}
            for name, each in run.scores.items()
        },
        "fit": run.fitted.as_json(),
    }
    write_whole(run.folder / METRICS, json_text(metrics))
    write_whole(run.folder / SETTINGS, to_toml(settings))
    write_text_report(
        run.folder / REPORT,
        title=path.name,
        scores={name: (each.nats, each.perplexity) for name, each in run.scores.items()},
        verdict=run.verdict,
        curve=run.fitted.curve,
        samples=run.samples,
        settings=to_toml(settings),
    )


def load_language_model(run: Path) -> LanguageModel:
    """The language model of a run.

    Raises:
        RunError: there is none, or the run is of another task.
    """
    model = saved.load_task(run)
    if not isinstance(model, LanguageModel):
        raise RunError(f"{run} holds a forecaster, not a language model. Use conveyor predict.")
    return model
