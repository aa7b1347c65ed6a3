"""A fitted run, loaded from the folder that a fit wrote: predicts, evaluates and generates."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from conveyor.data.audio_file import Sound
from conveyor.data.records import to_record
from conveyor.errors import DataError, RunError, SettingError, did_you_mean, named
from conveyor.networks.network import Network
from conveyor.networks.saving import load_network
from conveyor.networks.stored import read_description
from conveyor.pages.words import Language
from conveyor.tasks import saved
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Prediction, Results
from conveyor.tasks.settings_file import read_toml
from conveyor.tasks.task import Say, Task
from conveyor.tasks.task_registry import NAME, find
from conveyor.tasks.tracked_property import UnitSearch

# The files of a run's folder besides its model.
REPORT, METRICS, SETTINGS = "report.html", "metrics.json", "settings.toml"
# What a task answered on the test set, where it keeps that.
ANSWERS = "test.csv"
# The vectors of words that a task learned, in word2vec's text form.
VECTORS = "vectors.txt"
# The pages that ``conveyor inspect`` and ``conveyor units`` write beside them.
INSIDE, UNITS = "inspect.html", "units.html"


class Run:
    """A run of a task, loaded from its folder.

    The network's attributes and methods (``recurrent``, ``frame``, ``vocabulary``,
    ``parameters()``, a call) are also those of the run.

    Args:
        folder: the folder that ``conveyor fit`` or ``conveyor.fit`` wrote.

    Attributes:
        folder: the path of the folder.
        task: the name of the run's task.
        model: the network, a ``torch.nn.Module`` in evaluation mode.

    Raises:
        RunError: the folder is no run; a file is missing, corrupt, truncated or newer.
    """

    folder: Path
    task: str
    model: Network

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.task, self.model, self._fitted_on = saved.load(self.folder)

    def __getattr__(self, name: str) -> Any:
        # ``copy`` and ``pickle`` look attributes up before there is a model.
        if name.startswith("__") or "model" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.model, name)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Call the network."""
        return self.model(*inputs, **options)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}): {self.task}, {self.model.title}"

    @property
    def _task(self) -> type[Task[Any]]:
        return saved.task_of(self.task, str(self.folder))

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of ``metrics.json``: the scores on the test set, and the course of the fit.

        Raises:
            FileNotFoundError: the fit was not finished.
        """
        metrics: dict[str, Any] = json.loads((self.folder / METRICS).read_text(encoding="utf-8"))
        return metrics

    def report(self) -> Path:
        """Return the path of the report, a page of HTML."""
        return self.folder / REPORT

    def predict(
        self,
        source: Any = None,
        *,
        chart: str | Path | None = None,
        language: Language = "en",
        say: Say = print,
        **options: Any,
    ) -> Any:
        """Return the network's predictions.

        Args:
            source: for a forecast, the table to continue; None for the table of the run; or an
                array of histories [N, history, columns], whose predictions are quantiles
                [N, horizon, targets, 3].
            chart: a file, whose name ends with ``.html``, for a page that shows them: each series
                in a sentence and a chart; or with ``.png``, for a picture of them. None writes
                none.
            language: that the page begins in.
            say: called with each note on the data.
            options: the options of ``conveyor predict``: ``time``, ``fill_gaps``.

        Returns:
            A data frame of the library that ``source`` is of, or of polars.

        Raises:
            DataError: the data cannot be used.
            RunError: the run's task predicts nothing, or nothing that has a page.
            SaveError: the page could not be written.
            SettingError: there is no such option, or ``chart`` is no page.
        """
        kinds = (".html", ".htm", ".png")
        if chart is not None and Path(chart).suffix.lower() not in kinds:
            raise SettingError(
                f"{named('chart')} is {chart}; expected a file that ends with .html or .png."
            )
        prediction = self.prediction(source, say=say, **options)
        if chart is not None:
            self._draw(prediction, Path(chart), language)
        return like(source, prediction.answer)

    def prediction(self, source: Any = None, *, say: Say = print, **options: Any) -> Prediction:
        """Return the network's predictions with what a page shows of them; see ``predict``."""
        return self._task.predict(
            self.model,
            source,
            fitted_on=self._fitted_on,
            options=self._options(find(self.task).reading, options, needed=True),
            say=say,
        )

    def answers(self, lines: Iterable[str], **options: Any) -> Iterator[str]:
        """Yield a line of answer for each line, as soon as it is read.

        Args:
            lines: what is asked, without line ends.
            options: the options of ``conveyor predict``.

        Raises:
            RunError: the run's task answers no lines.
            SettingError: there is no such option.
        """
        return self._task.answers(
            self.model,
            lines,
            fitted_on=self._fitted_on,
            options=self._options(find(self.task).reading, options, needed=True),
        )

    def chat(self, **options: Any) -> Any:
        """Return a conversation with the run, which remembers what was said.

            >>> talk = conveyor.load("runs/dialogues").chat(seed=1)
            >>> talk.say("Hello!")
            'Hi, how are you?'

        Args:
            options: the options of ``conveyor chat``.

        Raises:
            RunError: the run's task holds no conversations.
            SettingError: there is no such option, or it is out of its range.
        """
        entry = find(self.task)
        kind = entry.reading if entry.converses else None
        return self._task.conversation(
            self.model, self._fitted_on, self._options(kind, options, needed=True)
        )

    @property
    def hears(self) -> bool:
        """Whether the run hears sound that comes through a pipe, see ``hear``."""
        return self._task.hears

    def hear(self, sound: BinaryIO, *, say: Say = print, **options: Any) -> Iterator[str]:
        """Yield what the network writes of sound while it comes, piece by piece.

        Args:
            sound: a wave file or raw samples, which may still be growing.
            say: called with each note.
            options: the options of ``conveyor predict``.

        Raises:
            DataError: this is no sound.
            RunError: the run's task hears nothing.
            SettingError: there is no such option.
        """
        return self._task.hear(
            self.model,
            sound,
            fitted_on=self._fitted_on,
            options=self._options(find(self.task).reading, options, needed=True),
            say=say,
        )

    def question(self) -> Question:
        """Return what the run is asked on the page of ``conveyor serve``.

        Raises:
            RunError: the run's task answers nothing.
        """
        return self._task.question(self.model, self._fitted_on)

    def _draw(self, prediction: Prediction, path: Path, language: Language) -> None:
        if path.suffix.lower() == ".png" and prediction.sections is not None:
            if prediction.picture is None:
                raise RunError(
                    "these predictions have no picture. Give a file that ends with .html."
                )
            prediction.picture(path, language)
            return
        from conveyor.pages.frame import heading, page  # noqa: PLC0415  # loads plotly

        if prediction.sections is None:
            raise RunError(f"these predictions have no page. Leave out {named('chart')}.")
        sections = prediction.sections()
        parts = [part for one in sections for part in (heading(one.title), one.body)]
        settings = (self.folder / SETTINGS).read_text(encoding="utf-8")
        page(path, prediction.title, parts, settings, language)

    def evaluate(self, source: Any = None, *, say: Say = print, **options: Any) -> Results:
        """Score the network on data, beside baselines.

        Args:
            source: data of the kind that the run was fitted on. Of a forecast it may be left out:
                then the rows that the run keeps are scored, which it did not learn from.
            say: called with each note on the data.
            options: the options of ``conveyor evaluate``: ``time``, ``fill_gaps``, ``all_rows``.

        Raises:
            DataError: the data cannot be used.
            SettingError: there is no such option.
        """
        if source is not None or not find(self.task).keeps_rows:
            check_source(self.task, source)
        return self._task.evaluate(
            self.model,
            source,
            settings=read_toml(self.folder / SETTINGS),
            fitted_on=self._fitted_on,
            options=self._options(find(self.task).reading, options),
            say=say,
        )

    def update(self, source: Any, *, say: Say = print, **options: Any) -> Results | None:
        """Take new rows into the run without fitting it again: predictions go on from their end,
        and bands move by how far off the forecasts of these rows were. The weights stay.

        Args:
            source: a table of later rows, with or without those of the run.
            say: called with each note on the data.
            options: the options of ``conveyor update``: ``time``, ``fill_gaps``.

        Returns:
            The scores of the forecasts that have come to be known whole; None without any.

        Raises:
            DataError: the data cannot be used, or holds nothing new.
            RunError: the run's task takes no new data in.
            SaveError: the run could not be written; it is unchanged then.
            SettingError: there is no such option.
        """
        before = dict(vars(self.model))
        try:
            results = self._task.update(
                self.model,
                source,
                options=self._options(find(self.task).updating, options, needed=True),
                say=say,
            )
            saved.save(self.folder, self.task, self.model, self._fitted_on)
        except BaseException:
            vars(self.model).update(before)
            raise
        return results

    def stream(self, series: str | None = None) -> Any:
        """Return the network bound to its memory, which takes row after row, or word after word,
        and answers after each. The run itself does not change.

        Args:
            series: the name of the series to go on with, where a run has several; None for the
                first.

        Raises:
            DataError: there is no such series.
            RunError: the run's task has no stream, or the run holds no data to go on from.
            TargetError: the network is not on a CPU.
        """
        return self._task.stream(self.model, series)

    def generate(
        self, prompt: str | None = None, length: int | None = None, **options: Any
    ) -> Iterator[str]:
        """Yield the text that the network writes after a prompt, piece by piece, without the
        prompt; of a run of ``write`` a picture of a handwritten text, as SVG.

        Args:
            prompt: the beginning of the text; None for none.
            length: the number of characters to write; None for 400.
            options: the options of ``conveyor generate``: ``temperature``, ``top_k``,
                ``top_p``, ``seed``; of a run of ``write`` ``text``, ``bias``, ``prime``,
                ``prime_row``, ``seed``; of a run of ``vrnn`` or ``storn`` ``count``, ``steps``,
                ``seed``; of a run of ``draw`` ``count``, ``seed``.

        Raises:
            DataError: the prompt holds a character that the network has never seen.
            RunError: the run's task generates nothing.
            SettingError: there is no such option, or it is out of its range.
        """
        asked = {"prompt": prompt, "length": length}
        options = {name: each for name, each in asked.items() if each is not None} | options
        return self._task.generate(
            self.model, self._options(find(self.task).writing, options, needed=True)
        )

    def generate_file(self, path: str | Path, **options: Any) -> bytes | None:
        """Return what the network generates as the content of a file; None of a run whose files
        hold the text of ``generate``. Nothing is written.

        Args:
            path: of the file, whose ending says what it holds: of a run of ``vrnn`` or ``storn``
                ``.png``, ``.csv``, ``.svg`` or ``.json``, by what it was fitted on; of a run of
                ``draw`` ``.png``, ``.gif`` or ``.csv``.
            options: the options of ``conveyor generate``: ``count``, ``steps``, ``seed``.

        Raises:
            DataError: the run has no such files.
            RunError: the run's task generates nothing.
            SettingError: there is no such option, or it is out of its range.
        """
        return self._task.generate_file(
            self.model,
            self._options(find(self.task).writing, options, needed=True),
            Path(path).suffix.lower(),
        )

    @property
    def speaks(self) -> bool:
        """Whether the run makes sound, see ``speak``."""
        return self._task.speaks

    def speak(self, text: str | None = None, **options: Any) -> Sound:
        """Return a text as the network speaks it, or sound as a run of ``sound`` draws it.

            >>> sound = conveyor.load("runs/digits").speak("seven", speaker="theo")
            >>> sound.samples, sound.rate

        Args:
            text: what is spoken; None for a run of ``sound``, which knows no texts.
            options: the other options of ``conveyor generate``: ``speaker``, ``seed``; of a run of
                ``sound`` ``seconds``, ``prime``, ``temperature``, ``seed``.

        Raises:
            DataError: the network has never heard a letter of it, or the speaker.
            RunError: the run's task does not speak.
            SettingError: there is no such option, or it is out of its range.
        """
        kind = find(self.task).writing if self.speaks else None
        if text is not None:
            options = {"text": text, **options}
        return self._task.speak(self.model, self._options(kind, options))

    def read(self, source: Any = None, *, say: Say = print, **options: Any) -> ReadSequence:
        """Return a sequence as the network reads it, for ``conveyor.inspect``.

        Args:
            source: data of the kind that the run was fitted on; None for what the run holds.
            say: called with each note on the data.
            options: the options of ``conveyor inspect`` that choose a sequence: ``text`` of a run
                on text, ``row`` of others, ``time`` and ``fill_gaps`` of a forecast.

        Raises:
            DataError: the data cannot be used, or holds no such sequence.
            SettingError: there is no such option, or it is out of its range.
        """
        return self._task.read(
            self.model,
            source,
            settings=read_toml(self.folder / SETTINGS),
            fitted_on=self._fitted_on,
            options=self._options(find(self.task).choosing, options),
            say=say,
        )

    def search_units(self, source: Any, *, whole: bool = False, say: Say = print) -> UnitSearch:
        """Search the network for units that track properties of a text, as the inside of quotes or
        the place in a line.

        Args:
            source: a text of the kind that the run was fitted on.
            whole: whether all of it is read; otherwise its test set, as the run was split.
            say: called with each note on the data.

        Raises:
            DataError: the text cannot be used.
            RunError: the run is of another task.
        """
        return self._task.search_units(
            self.model,
            source,
            settings=read_toml(self.folder / SETTINGS),
            whole=whole,
            say=say,
        )

    def _options(
        self, kind: type[Any] | None, options: dict[str, Any], *, needed: bool = False
    ) -> Any:
        """Return the options as a record of class ``kind``, None for a task without such options.

        Args:
            kind: the class of the task's options; None for a task without options.
            options: the options by name.
            needed: whether the task itself raises an error if it has no such options.

        Raises:
            SettingError: there is no such option, or it is out of its range.
        """
        known = [] if kind is None else [field.name for field in dataclasses.fields(kind)]
        unknown = [named(name) for name in options if name not in known]
        if kind is not None and unknown:
            raise SettingError(
                f"a run of the task {self.task} takes no {', '.join(unknown)} here. "
                f"{did_you_mean(unknown[0], map(named, known))}"
            )
        if kind is not None:
            return to_record(kind, options, "options")
        if options and not needed:
            names = ", ".join(map(named, options))
            raise SettingError(
                f"a run of the task {self.task} takes no {names} here. Leave it out."
            )
        return None


def check_source(task: str, source: Any) -> None:
    """Check that a task that reads data has a source, and that one that draws its data has none.

    Raises:
        DataError: a source is missing, or cannot be used.
    """
    entry = find(task)
    if source is not None and not entry.reads:
        raise DataError(f"the task {task} draws all that it needs; it cannot read {source}.")
    if source is None and entry.reads and NAME not in entry.reads:
        raise DataError(f"the task {task} is given no data; expected {entry.source}.")


def like(source: Any, frame: Any) -> Any:
    """Return a polars data frame as one of the library that ``source`` is of."""
    kind = type(source).__module__.partition(".")[0]
    if kind == "pandas":
        return frame.to_pandas()
    if kind == "pyarrow":
        return frame.to_arrow()
    return frame


def load(path: str | Path) -> Any:
    """Return the run of a folder, or the network that ``conveyor.save`` wrote there, ready to use,
    in evaluation mode and on the CPU.

    No code from the files is executed: the cell is data, the weights are plain numbers.

    Args:
        path: the folder.

    Returns:
        A ``Run``, or a ``torch.nn.Module``.

    Raises:
        RunError: the folder is no run and no saved network; a file is missing, corrupt, truncated
            or newer.
    """
    folder = Path(path)
    described = read_description(folder)
    return load_network(folder, described) if "module" in described else Run(folder)
