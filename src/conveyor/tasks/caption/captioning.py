"""The task ``caption``: what pictures and videos show."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.data.picture_file import PICTURES
from conveyor.data.video_file import MOVING, VIDEOS
from conveyor.errors import DataError, RunError, SettingError, counted, named
from conveyor.pages.words import Words
from conveyor.tasks.caption.blind_captioner import blind_caption
from conveyor.tasks.caption.caption_examples import CaptionExamples, ShownPictures
from conveyor.tasks.caption.caption_reading import BEAM
from conveyor.tasks.caption.caption_report import shown_captions
from conveyor.tasks.caption.caption_results import FREQUENT, NEAREST, NEAREST_VIDEO, results_of
from conveyor.tasks.caption.caption_scores import BLEU_4, CaptionScores
from conveyor.tasks.caption.caption_settings import READING, CaptionData, CaptionSettings
from conveyor.tasks.caption.captioned_sequence import captioned_sequence
from conveyor.tasks.caption.captioner import Captioned, Captioner, CaptionerSizes
from conveyor.tasks.caption.nearest_picture import nearest_pictures
from conveyor.tasks.caption.prepared_captions import (
    PreparedCaptions,
    all_shown,
    frames_of,
    hash_by_size,
    hash_of,
    prepare_captions,
    read_as,
    statistics_of,
    store_of,
)
from conveyor.tasks.caption.scored_captions import ScoredCaptions
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION
from conveyor.tasks.known_keys import hash_of_parts, packed_hashes, tell_not_kept, told_leaks
from conveyor.tasks.known_source import is_source_of
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Prediction, Results, free_name
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.task import Say, Task, whole


class Captioning(Task[Captioner]):
    """The task of writing what pictures or videos show, beside the caption of the training picture
    that looks most alike. Its score is BLEU-4."""

    name = "caption"
    network_type = Captioner
    next_command: tuple[str, ...] = ("predict", "new.png")
    holds_sequence = False
    metric = BLEU_4
    loss = "nats per word"
    join: Callable[[Any], Any] | None = staticmethod(whole)
    settings: CaptionSettings

    def __init__(self, prepared: PreparedCaptions) -> None:
        self.prepared, self.settings = prepared, prepared.settings
        file = Path(prepared.name).name
        videos = prepared.store.values.frames is not None
        seen = "video" if videos else "ảnh"
        if self.settings.data.features is not None:
            self.next_command = ("predict", "new.csv", "--features", "new.npz")
        elif videos:
            self.next_command = ("predict", "new.mp4")
        self.title = Words(f"Captions of {file}", f"Lời mô tả {seen} của {file}")
        self.train: CaptionExamples = prepared.parts[TRAIN]
        self.validation: CaptionExamples = prepared.parts[VALIDATION].by_length()
        self.lengths = self.train.lengths
        self.data_hash = hash_of_parts(_seen_and_said(each) for each in prepared.parts)

    @classmethod
    def prepare(cls, source: Any, settings: CaptionSettings, say: Say) -> "Captioning":
        """Return the task on pictures and their captions."""
        return cls(prepare_captions(source, settings, say))

    def network(self, program: Program, sizes: Any) -> Captioner:
        """Return an untrained captioner, which knows the mean and the deviation of each colour."""
        prepared = self.prepared
        pixels = prepared.settings.data.features is None
        stored = prepared.store.values
        shape, videos = stored.array.shape, stored.frames is not None
        if sizes.decoder == READING and pixels and not videos:
            raise SettingError(
                f"{named('decoder')} is {READING}, which reads frames; the data hold pictures. "
                "Leave it out."
            )
        network = Captioner(
            program,
            prepared.reader,
            CaptionerSizes(
                **sizes.besides_the_cell(),
                size=shape[-2] if pixels else 0,
                frames=shape[1] if videos else 0,
                places=(shape[-2] // 4) ** 2 if pixels and not videos else shape[1],
                width=0 if pixels else shape[2],
            ),
            prepared.longest,
        )
        mean, deviation = statistics_of(prepared.shown[TRAIN])
        network.mean.copy_(mean)
        network.deviation.copy_(deviation)
        return network

    def about(self, network: Captioner) -> str:
        """Return how large a network is, and how much it learns from."""
        count = counted(network.parameter_count, "parameter")
        return f"{network.title} with {count} on {counted(len(self.train), 'caption')}"

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: what was learned from."""
        shown = self.prepared.shown
        return {
            "source": self.prepared.source_hash,
            "known": packed_hashes([*shown[TRAIN].keys, *shown[VALIDATION].keys]),
            "image": self.settings.data.image,
        }

    @cached_property
    def _baselines(self) -> dict[str, list[str]]:
        train, _, test = self.prepared.shown
        counts = Counter(text for texts in train.references for text in texts)
        common = min(counts, key=lambda text: (-counts[text], text))
        nearest = nearest_pictures(train, test)
        name = NEAREST if train.values.frames is None else NEAREST_VIDEO
        return {
            FREQUENT: [common] * len(test),
            name: [train.references[number][0] for number in nearest],
        }

    def baselines(self) -> Mapping[str, float]:
        """Return BLEU-4 of the baselines."""
        references = self.prepared.shown[TEST].references
        return {
            name: float(CaptionScores(answers, references).row()[0] or 0)
            for name, answers in self._baselines.items()
        }

    def _scored(self, network: Captioner, beam: int) -> ScoredCaptions:
        shown = self.prepared.shown
        learned = {*shown[TRAIN].keys, *shown[VALIDATION].keys}
        return ScoredCaptions(
            network, shown[TEST], beam, sum(key in learned for key in shown[TEST].keys)
        )

    def score(self, network: Captioner) -> float:
        """Return BLEU-4 on the test set."""
        return float(self._scored(network, BEAM).scores.row()[0] or 0)

    def results(self, network: Captioner) -> Results:
        """Return the scores on the test set beside the baselines, of which one is a network of the
        same size that sees nothing."""
        return self._results(network, BEAM)

    def _results(self, network: Captioner, beam: int) -> Results:
        scored, training = self._scored(network, beam), self.settings.training
        if training.blind_steps:
            parts = self.prepared.parts
            program = network.recurrent.program
            blind = blind_caption(network, program, parts[TRAIN], parts[TEST], training)
            scored = replace(scored, blind=blind)
        return results_of(scored, self._baselines)

    @classmethod
    def evaluate(
        cls,
        network: Captioner,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score a captioner: of the data that the run was fitted on its test set, of other
        pictures with captions all, or the test set that their table names.

        Raises:
            DataError: the data cannot be used.
        """
        data = _data_of(network, settings.data, options)
        pictures, fitted = read_as(source, data), fitted_on or {}
        if is_source_of(fitted, hash_of(pictures, data.features), hash_by_size(pictures), say):
            return cls.prepare(source, replace(settings, data=data), say)._results(
                network, options.beam
            )
        for note in pictures.notes:
            say(note)
        store = store_of(pictures, data, network.sizes.frames, say)
        shown = all_shown(pictures, store, network.reader)
        rows = list(range(len(shown)))
        if pictures.parts is not None and TEST in pictures.parts:
            say("the test set is scored")
            rows = [row for row in rows if pictures.parts[store.numbers[row]] == TEST]
        shown = _chosen(shown, [row for row in rows if shown.references[row]])
        if not len(shown):
            raise DataError(f"{pictures.name}: there is no picture with a caption.")
        _check_width(network, shown, data)
        leaks = told_leaks(shown.keys, fitted, say, "video" if network.sizes.frames else "picture")
        nearest = NEAREST_VIDEO if network.sizes.frames else NEAREST
        tell_not_kept([nearest, FREQUENT], say)
        return results_of(ScoredCaptions(network, shown, options.beam, leaks), {})

    @classmethod
    def predict(
        cls,
        network: Captioner,
        source: Any,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Prediction:
        """Return what a picture shows, or those of a folder or a list, or those that a table lists.

        Raises:
            DataError: there is no picture, or it cannot be used.
        """
        if source is None:
            raise DataError("there is nothing to see. Give a picture, a folder or a table.")
        # A table is like that of the run, whose column of pictures may have been named.
        asked = CaptionData(image=(fitted_on or {}).get("image"))
        data = _data_of(network, asked, options)
        videos = network.sizes.frames > 0
        pictures = read_as(source, data, captioned=False, clips=videos)
        if videos:
            frames_of(pictures, data, say)
        store = store_of(pictures, data, network.sizes.frames, say, advise=False)
        shown = all_shown(pictures, store, network.reader)
        _check_width(network, shown, data)
        best = list(network.write(shown, beam=options.beam, n_best=options.n_best))
        frame, rows = pictures.frame, pictures.rows
        if frame is None:
            frame = pl.DataFrame({"picture": list(map(str, pictures.files))})
            rows = list(range(len(pictures.files)))
        for name, values in _columns(network, shown, best, options):
            column = [values[row] for row in rows]
            frame = frame.with_columns(pl.Series(free_name(frame.columns, name), column))
        return Prediction(
            frame,
            Words("Caption", "Ảnh cho thấy gì"),
            lambda: shown_captions(network, shown, [each[0] for each in best]),
        )

    @classmethod
    def question(cls, network: Captioner, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return what a captioner is asked: for a picture or a video.

        Raises:
            RunError: it reads what other networks made of pictures.
        """
        sizes = network.sizes
        if not sizes.size:
            raise RunError(
                "this run reads numbers that another network has made of pictures, and no "
                "pictures. Use conveyor predict."
            )
        if sizes.frames:
            label = Words("A video, or a picture", "Một video, hoặc một ảnh")
            # GIF and WebP are both.
            endings = tuple(dict.fromkeys((*MOVING, *VIDEOS, *PICTURES)))
            hidden = ("explain",) if sizes.decoder == READING else ()
            return Question("file", label, endings=endings, hidden=hidden)
        return Question("file", Words("A picture", "Một ảnh"), endings=PICTURES)

    @classmethod
    def read(
        cls,
        network: Captioner,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return the caption that a network writes of a picture, as its decoder reads it.

        Raises:
            DataError: there is no such picture.
        """
        if source is None:
            raise DataError(f"a run keeps no picture. Give {named('data')}: new.png.")
        data = settings.data
        frames = network.sizes.frames
        pictures = read_as(source, data, captioned=False, clips=frames > 0)
        number = check_row(options.row or 1, len(pictures.files), "picture")
        if network.sizes.size:
            one = replace(
                pictures, files=[pictures.files[number]], places=[pictures.places[number]]
            )
            store = store_of(one, data, frames, say, advise=False)
            shown = all_shown(one, store, network.reader)
            return captioned_sequence(network, shown.seen([0]), shown.places[0])
        shown = all_shown(pictures, store_of(pictures, data, frames, say), network.reader)
        return captioned_sequence(network, shown.seen([number]), shown.places[number])


def _seen_and_said(examples: CaptionExamples) -> Iterator[tuple[Tensor, Tensor]]:
    for number in range(len(examples)):
        batch = examples[number]
        yield batch.seen.values, batch.captions


def _data_of(network: Captioner, data: CaptionData, options: Any) -> CaptionData:
    """Return how pictures are read for a fitted network.

    Raises:
        RunError: it reads numbers, and there are none, or the other way round.
    """
    features = options.features if options.features is not None else data.features
    sizes = network.sizes
    if sizes.size and options.features is not None:
        raise RunError(f"this run looks at pictures themselves. Leave {named('features')} out.")
    if not sizes.size and features is None:
        raise RunError(
            f"this run has learned from {sizes.width:,} numbers of "
            f"{counted(sizes.places, 'place')} of each picture. Give "
            f"{named('features', 'new.npz')}."
        )
    return replace(data, size=sizes.size or data.size, frames=sizes.frames or 1, features=features)


def _check_width(network: Captioner, shown: ShownPictures, data: CaptionData) -> None:
    """Check that numbers of pictures are as many as a network reads.

    Raises:
        DataError: they are not.
    """
    if network.sizes.size:
        return
    shape = tuple(shown.values.array.shape[1:])
    wanted = network.sizes.places, network.sizes.width
    if shape != wanted:
        raise DataError(
            f"{data.features}: a picture has {shape[0]:,} places of {shape[1]:,} numbers; this run "
            f"reads {wanted[0]:,} places of {wanted[1]:,}."
        )


def _chosen(shown: ShownPictures, rows: Sequence[int]) -> ShownPictures:
    return ShownPictures(
        shown.values,
        [shown.numbers[row] for row in rows],
        [shown.references[row] for row in rows],
        [shown.places[row] for row in rows],
        [shown.keys[row] for row in rows],
    )


def _columns(
    network: Captioner,
    shown: ShownPictures,
    best: Sequence[Sequence[Captioned]],
    options: Any,
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the columns of what was written, by name."""
    for place in range(options.n_best):
        end = "" if place == 0 else f"_{place + 1}"
        each = [answers[place] if place < len(answers) else None for answers in best]
        yield f"written{end}", [written and written.text for written in each]
        if options.scores:
            yield (
                f"log_probability{end}",
                [written and written.log_probability for written in each],
            )
        if options.explain:
            yield (
                f"attention{end}",
                [
                    written and attention_in_words(network, shown, row, written)
                    for row, written in enumerate(each)
                ],
            )


def attention_in_words(
    network: Captioner, shown: ShownPictures, row: int, written: Captioned
) -> str:
    """Return where the network looked most while it wrote each word: of a picture as row and column
    of its places, counted from 1 at the top left, "red<2,5 0.93"; of a video as the number of the
    frame among those that are read, "left<7 0.41"."""
    weights, _ = network.attention_while(shown.seen([row]), written.symbols)
    columns = network.grid[1]

    def where(place: int) -> str:
        if network.sizes.frames:
            return f"{place + 1}"
        return f"{place // columns + 1},{place % columns + 1}"

    return " ".join(
        f"{token}<{where(int(its.argmax()))} {float(its.max()):.2f}"
        for token, its in zip(written.tokens, weights, strict=False)
    )
