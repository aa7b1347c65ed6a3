"""The tasks by name: the only list of them. The modules of a task are imported on first use, so
that commands that need none of them start quickly."""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from conveyor.data.records import shown
from conveyor.data.sound_files import SOUNDS
from conveyor.data.table_source import WORKBOOKS
from conveyor.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from conveyor.tasks.settings import TaskSettings
    from conveyor.tasks.task import Task

# Values of ``Entry.reads`` for tasks that do not read a file.
FOLDER, NAME = "folder", "name"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The description of a task, with the locations of its classes as ``module:Class``.

    Args:
        name: the task's name on the command line, in TOML and in saved models.
        summary: a sentence that says what the task does.
        source: what the task learns from, as ``--help`` says it, without a full stop.
        reads: the endings of the files that it reads (also with ``.gz``); ``FOLDER`` if it reads a
            folder; ``NAME`` if its source is a name; empty if the task draws all its data.
        settings_at: the location of the task's settings.
        task_at: the location of the task's class.
        reading_at: the location of the options of evaluating and predicting; empty for none.
        updating_at: the location of the options of taking new data into a run; empty for none.
        writing_at: the location of the options of generating; empty for none.
        choosing_at: the location of the options that choose what ``inspect`` looks at; empty for
            none.
        keeps_rows: whether a run keeps rows that it can be evaluated on.
        converses: whether a run holds conversations, with the options of predicting.
    """

    name: str
    summary: str
    source: str
    reads: tuple[str, ...]
    settings_at: str
    task_at: str
    reading_at: str = ""
    updating_at: str = ""
    writing_at: str = ""
    choosing_at: str = "conveyor.tasks.sequence_choice:SequenceChoice"
    keeps_rows: bool = False
    converses: bool = False

    @property
    def settings(self) -> "type[TaskSettings]":
        """The class of the task's settings, imported on access."""
        return cast("type[TaskSettings]", _imported(self.settings_at))

    @property
    def task(self) -> "type[Task[Any]]":
        """The task's class, imported on access."""
        return cast("type[Task[Any]]", _imported(self.task_at))

    @property
    def reading(self) -> type[Any] | None:
        """The class of the options of evaluating and predicting, imported on access."""
        return _imported(self.reading_at) if self.reading_at else None

    @property
    def updating(self) -> type[Any] | None:
        """The class of the options of taking new data into a run, imported on access."""
        return _imported(self.updating_at) if self.updating_at else None

    @property
    def writing(self) -> type[Any] | None:
        """The class of the options of generating, imported on access."""
        return _imported(self.writing_at) if self.writing_at else None

    @property
    def choosing(self) -> type[Any] | None:
        """The class of the options that choose what is looked at, imported on access."""
        return _imported(self.choosing_at) if self.choosing_at else None


def _imported(location: str) -> type[Any]:
    module, _, name = location.partition(":")
    kind: type[Any] = getattr(importlib.import_module(module), name)
    return kind


TASKS = (
    Entry(
        name="forecast",
        summary="Forecast columns of a table: quantiles of the next steps, beside naive forecasts.",
        source="a CSV (also .gz) or Parquet file, or a workbook (sales.xlsx#Sheet)",
        reads=(".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS),
        settings_at="conveyor.tasks.forecast.forecast_settings:ForecastSettings",
        task_at="conveyor.tasks.forecast.forecasting:Forecasting",
        reading_at="conveyor.tasks.forecast.forecast_reading:ForecastReading",
        updating_at="conveyor.tasks.forecast.forecast_updating:ForecastUpdating",
        choosing_at="conveyor.tasks.forecast.row_choice:RowChoice",
        keeps_rows=True,
    ),
    Entry(
        name="text",
        summary="Learn to write like a text, by characters or words, beside counting models.",
        source="a text in UTF-8",
        reads=(".txt",),
        settings_at="conveyor.tasks.text.text_settings:TextSettings",
        task_at="conveyor.tasks.text.language_modelling:LanguageModelling",
        writing_at="conveyor.tasks.text.sampling:Sampling",
        choosing_at="conveyor.tasks.text_choice:TextChoice",
    ),
    Entry(
        name="music",
        summary="Learn which notes come next in music, beside how often each key sounds.",
        source="music as JSON: pieces of steps of notes, in three parts",
        reads=(".json",),
        settings_at="conveyor.tasks.music.music_settings:MusicSettings",
        task_at="conveyor.tasks.music.polyphonic_music:PolyphonicMusic",
    ),
    Entry(
        name="pixels",
        summary="Tell digits that are read pixel by pixel, beside the most frequent digit.",
        source="a folder with MNIST's files",
        reads=(FOLDER,),
        settings_at="conveyor.tasks.pixels.pixel_settings:PixelSettings",
        task_at="conveyor.tasks.pixels.pixel_by_pixel:PixelByPixel",
    ),
    Entry(
        name="classify",
        summary="Tell classes of texts or of series apart, beside a regression without order.",
        source="a table of texts or series and labels, a folder class/file.txt, or __label__ lines",
        reads=(".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS, ".txt", FOLDER),
        settings_at="conveyor.tasks.classify.classify_settings:ClassifySettings",
        task_at="conveyor.tasks.classify.classification:Classification",
        reading_at="conveyor.tasks.classify.classify_reading:ClassifyReading",
        choosing_at="conveyor.tasks.text_choice:TextOrRow",
    ),
    Entry(
        name="tag",
        summary="Give each word of a sentence a tag, beside a CRF on features of words.",
        source="sentences with tags: CoNLL-U, a word in each line, or lines and a file of labels",
        reads=(".conllu", ".conll", ".iob", ".iob2", ".bio", ".in"),
        settings_at="conveyor.tasks.tag.tag_settings:TagSettings",
        task_at="conveyor.tasks.tag.tagging:Tagging",
        reading_at="conveyor.tasks.tag.tag_reading:TagReading",
        choosing_at="conveyor.tasks.text_choice:TextOrRow",
    ),
    Entry(
        name="chat",
        summary="Reply to the last turns of a dialogue, beside retrieval and a counting model.",
        source="dialogues: lines of turns, or a table of utterances or of questions and answers",
        reads=(".txt", ".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS),
        settings_at="conveyor.tasks.chat.chat_settings:ChatSettings",
        task_at="conveyor.tasks.chat.chatting:Chatting",
        reading_at="conveyor.tasks.chat.chat_reading:ChatReading",
        choosing_at="conveyor.tasks.text_choice:TextOrRow",
        converses=True,
    ),
    Entry(
        name="translate",
        summary="Turn one text into another, beside a dictionary and the nearest training text.",
        source="a table of sources and targets, or a file of the sources' lines",
        reads=(".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS, ".txt"),
        settings_at="conveyor.tasks.translate.translate_settings:TranslateSettings",
        task_at="conveyor.tasks.translate.translation:Translation",
        reading_at="conveyor.tasks.translate.translate_reading:TranslateReading",
        choosing_at="conveyor.tasks.text_choice:TextOrRow",
    ),
    Entry(
        name="pronounce",
        summary="Turn letters of words into phonemes, beside each letter's most frequent sound.",
        source="a dictionary of pronunciations: lines or a table of words and phonemes",
        reads=(".dict", ".txt", ".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS),
        settings_at="conveyor.tasks.pronounce.pronounce_settings:PronounceSettings",
        task_at="conveyor.tasks.pronounce.pronouncing:Pronouncing",
        reading_at="conveyor.tasks.pairs.pair_reading:PairReading",
        choosing_at="conveyor.tasks.text_choice:TextOrRow",
    ),
    Entry(
        name="words",
        summary="Learn a vector for each word of a text, beside the SVD of counts of neighbours.",
        source="a text in UTF-8",
        reads=(".txt",),
        settings_at="conveyor.tasks.words.words_settings:WordsSettings",
        task_at="conveyor.tasks.words.word_learning:WordLearning",
        reading_at="conveyor.tasks.words.words_reading:WordsReading",
        choosing_at="",
    ),
    Entry(
        name="transcribe",
        summary="Write what is said in recordings, beside the recording that sounds most alike.",
        source="a table of recordings and texts, or a folder of recordings with texts",
        reads=(".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS, ".jsonl", FOLDER),
        settings_at="conveyor.tasks.transcribe.transcribe_settings:TranscribeSettings",
        task_at="conveyor.tasks.transcribe.transcribing:Transcribing",
        reading_at="conveyor.tasks.transcribe.transcribe_reading:TranscribeReading",
        choosing_at="conveyor.tasks.sequence_choice:SequenceChoice",
    ),
    Entry(
        name="write",
        summary="Write a text by hand, beside a network that remembers nothing.",
        source="texts and their strokes: lines of JSON, an .npz of points, or a folder of XML",
        reads=(".jsonl", ".ndjson", ".npz", ".xml", FOLDER),
        settings_at="conveyor.tasks.write.write_settings:WriteSettings",
        task_at="conveyor.tasks.write.writing:Writing",
        writing_at="conveyor.tasks.write.writing_options:WritingOptions",
    ),
    Entry(
        name="speak",
        summary="Speak a text, beside the mean of the recordings that are learned from.",
        source="a table of recordings and texts, or a folder of recordings with texts",
        reads=(".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS, ".jsonl", FOLDER),
        settings_at="conveyor.tasks.speak.speak_settings:SpeakSettings",
        task_at="conveyor.tasks.speak.speaking:Speaking",
        reading_at="conveyor.tasks.speak.speak_reading:SpeakReading",
        writing_at="conveyor.tasks.speak.speaking_options:SpeakingOptions",
        choosing_at="conveyor.tasks.sequence_choice:SequenceChoice",
    ),
    Entry(
        name="sound",
        summary="Predict sound, sample by sample, beside linear prediction.",
        source="a sound file, a folder of them, or a table that lists them",
        reads=(*SOUNDS, ".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS, ".jsonl", FOLDER),
        settings_at="conveyor.tasks.sound.sound_settings:SoundSettings",
        task_at="conveyor.tasks.sound.sound_modelling:SoundModelling",
        writing_at="conveyor.tasks.sound.sounding_options:SoundingOptions",
    ),
    Entry(
        name="vrnn",
        summary="Learn what sequences may be, with latent values, beside an LSTM without them.",
        source="music (JSON), a folder of pictures or of MNIST, strokes of a pen, or a table",
        reads=(
            *(".json", ".jsonl", ".ndjson", ".npz", FOLDER),
            *(".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS),
        ),
        settings_at="conveyor.tasks.vrnn.vrnn_settings:VRNNSettings",
        task_at="conveyor.tasks.vrnn.vrnn_task:VariationalSequences",
        writing_at="conveyor.tasks.latent.drawing_options:DrawingOptions",
    ),
    Entry(
        name="storn",
        summary="Learn what sequences may be, by two layers of any cell, beside one layer.",
        source="music (JSON), a folder of pictures or of MNIST, strokes of a pen, or a table",
        reads=(
            *(".json", ".jsonl", ".ndjson", ".npz", FOLDER),
            *(".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS),
        ),
        settings_at="conveyor.tasks.storn.storn_settings:STORNSettings",
        task_at="conveyor.tasks.storn.storn_task:StochasticSequences",
        writing_at="conveyor.tasks.latent.drawing_options:DrawingOptions",
    ),
    Entry(
        name="draw",
        summary="Draw pictures glimpse by glimpse, beside a variational autoencoder.",
        source="a folder of pictures or of MNIST",
        reads=(FOLDER,),
        settings_at="conveyor.tasks.draw.draw_settings:DrawSettings",
        task_at="conveyor.tasks.draw.drawing_task:Drawing",
        writing_at="conveyor.tasks.draw.picture_options:PictureOptions",
    ),
    Entry(
        name="caption",
        summary="Write what pictures or videos show, beside the caption of the one most alike.",
        source="a table of pictures or videos and captions, or a folder of them with captions",
        reads=(".csv", ".tsv", ".parquet", ".pq", *WORKBOOKS, ".jsonl", FOLDER),
        settings_at="conveyor.tasks.caption.caption_settings:CaptionSettings",
        task_at="conveyor.tasks.caption.captioning:Captioning",
        reading_at="conveyor.tasks.caption.caption_reading:CaptionReading",
        choosing_at="conveyor.tasks.sequence_choice:SequenceChoice",
    ),
    Entry(
        name="classic",
        summary="Learn a classic task from sequences that are drawn, beside not looking.",
        source="the name of a classic task, as adding, copying or reber",
        reads=(NAME,),
        settings_at="conveyor.tasks.classic.classic_settings:ClassicSettings",
        task_at="conveyor.tasks.classic.classic_task:ClassicTask",
    ),
)


def find(name: object, what: str = "task") -> Entry:
    """Return the entry of the task of that name.

    Args:
        name: the name, which may be any value of a file.
        what: where the name comes from, the subject of the error: a file and its key, or an option.

    Raises:
        SettingError: there is no such task; the text gives the nearest names.
    """
    for entry in TASKS:
        if entry.name == name:
            return entry
    near = did_you_mean(name if isinstance(name, str) else "", [entry.name for entry in TASKS])
    raise SettingError(f"{what} is {shown(name)}. {near}")
