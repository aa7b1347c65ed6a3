"""Pictures and captions made ready to learn from."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conveyor.data.captioned_pictures import CaptionedPictures, read_captioned
from conveyor.data.file_contents import contents_hash
from conveyor.data.stored_features import read_features
from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.data.tokens import Tokenizer
from conveyor.data.video_file import frame_files
from conveyor.errors import DataError, counted, named
from conveyor.tasks.caption.caption_examples import CaptionExamples, ShownPictures
from conveyor.tasks.caption.caption_settings import CaptionData, CaptionSettings
from conveyor.tasks.caption.picture_store import (
    PictureStore,
    count_videos,
    stored_numbers,
    stored_pictures,
)
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION, split_by_source
from conveyor.tasks.pairs.pair_reader import PairReader
from conveyor.tasks.task import Say

# A caption may have so many tokens more than the longest that was learned from.
_ROOM = 4
# Pictures whose colours are counted together.
_ROWS_AT_ONCE = 64
# Names in a message.
_NAMED = 3


@dataclass(frozen=True)
class PreparedCaptions:
    """Pictures and captions made ready.

    Attributes:
        name: of the source.
        settings: with what was inferred.
        reader: how captions become numbers.
        store: what is seen of the pictures.
        parts: to learn from, to validate on, to test on.
        shown: the pictures of each part.
        longest: symbols that a caption may have, its end counted.
        source_hash: tells whether a source is the one that these are made of.
    """

    name: str
    settings: CaptionSettings
    reader: PairReader
    store: PictureStore
    parts: tuple[CaptionExamples, CaptionExamples, CaptionExamples]
    shown: tuple[ShownPictures, ShownPictures, ShownPictures]
    longest: int
    source_hash: str


def read_as(
    source: Any,
    data: CaptionData,
    *,
    captioned: bool = True,
    features: str | None = None,
    clips: bool = False,
) -> CaptionedPictures:
    """Read which pictures there are, with the columns that settings name; see
    ``read_captioned``."""
    return read_captioned(
        source,
        image=data.image,
        caption=data.caption if captioned else None,
        part=data.part if captioned else None,
        captioned=captioned,
        there=(features or data.features) is None,
        clips=clips,
    )


def frames_of(pictures: CaptionedPictures, data: CaptionData, say: Say) -> int:
    """Return how many frames of each video of a source are read, at most; 0 where all are read as
    pictures. What there is is told.

    Args:
        pictures: which there are.
        data: the settings.
        say: called with each line for the user.
    """
    if data.features is not None or data.frames == 1:
        return 0
    videos, count = count_videos(pictures), len(pictures.files)
    if not videos:
        return 0
    said = counted(videos, "video") if videos == count else f"{videos:,} of {count:,} are videos"
    say(f"{said}, of which {data.frames} frames are read at most, evenly apart")
    if videos < count:
        say(f"{counted(count - videos, 'picture')} among them: videos of one frame")
    return data.frames


def store_of(
    pictures: CaptionedPictures, data: CaptionData, frames: int, say: Say, *, advise: bool = True
) -> PictureStore:
    """Read what is seen of pictures or videos, as settings say; ``frames`` is that of
    ``stored_pictures``."""
    if data.features is not None:
        return stored_numbers(pictures, read_features(Path(data.features)))
    return stored_pictures(
        pictures, data.size, frames, say, skip_broken=data.skip_broken, advise=advise
    )


def hash_of(pictures: CaptionedPictures, features: str | None) -> str:
    """Return a hash of which pictures there are, what they hold, of which parts they are, and what
    is said of them.

    Args:
        pictures: which there are.
        features: the file of numbers that is read in place of the pictures; None for none.
    """
    if features is None:
        return _hash_of(pictures, contents_hash, b"")
    return _hash_of(pictures, lambda _: "", contents_hash(Path(features)).encode())


def hash_by_size(pictures: CaptionedPictures) -> str:
    """Return a hash of the same, but that pictures of one size are the same, and files of numbers:
    older runs keep it."""
    return _hash_of(pictures, lambda file: str(_size_of(file)), b"")


def _hash_of(pictures: CaptionedPictures, held: Callable[[Path], str], beside: bytes) -> str:
    digest = hashlib.sha256(repr(pictures.parts).encode() + beside)
    captions = pictures.captions or [[] for _ in pictures.files]
    for file, texts in zip(pictures.files, captions, strict=True):
        line = "\0".join([file.name, held(file), *texts])
        digest.update(f"{line}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()


def _size_of(file: Path) -> int:
    """Return the bytes of a file, or of the frames of a folder; 0 of one that is not there."""
    if file.is_dir():
        return sum(frame.stat().st_size for frame in frame_files(file))
    return file.stat().st_size if file.exists() else 0


def prepare_captions(source: Any, settings: CaptionSettings, say: Say) -> PreparedCaptions:
    """Read pictures and their captions, split them, and make numbers of them.

    Raises:
        DataError: the data cannot be used.
    """
    data = settings.data
    pictures = read_as(source, data)
    for note in pictures.notes:
        say(note)
    tokenizer = Tokenizer("word", data.lower)
    tokens = _tokens_of(pictures, tokenizer)
    frames = frames_of(pictures, data, say)
    noun = "video" if frames else "picture"
    store = store_of(pictures, data, frames, say)
    kept = _captioned(pictures, store, tokens, say)
    parts = split_by_source(
        [store.keys[place] for place in kept],
        [None if pictures.parts is None else pictures.parts[store.numbers[p]] for p in kept],
        data.split,
        data.split_seed,
    )
    by_part = [
        [place for place, its in zip(kept, parts, strict=True) if its == part]
        for part in (TRAIN, VALIDATION, TEST)
    ]
    for places, name in zip(by_part, ("training", "validation", "test"), strict=True):
        if not places:
            raise DataError(
                f"{pictures.name}: the {name} set of {counted(len(kept), noun)} is empty. "
                f"Give more of them, or larger parts: {named('split', '0.6/0.2/0.2')}."
            )
    learned = [
        cut for place in by_part[TRAIN] for cut in _cut(tokens[store.numbers[place]], data.longest)
    ]
    vocabulary = TokenVocabulary.of(learned, tokenizer, least=data.min_count)
    if not vocabulary.known:
        raise DataError(
            f"{pictures.name}: no word of the captions is seen {data.min_count} times. Lower "
            f"{named('min_count')}."
        )
    reader = PairReader(vocabulary, vocabulary, data.longest)
    _tell(pictures, store, by_part, tokens, vocabulary, data, say)
    examples = [_examples(store, places, tokens, reader) for places in by_part]
    shown = [_shown(pictures, store, places, reader) for places in by_part]
    first, second, third = examples
    say(
        f"{counted(len(by_part[TRAIN]), noun)} to train with "
        f"{counted(len(first), 'caption')}, {len(by_part[VALIDATION]):,} to validate, "
        f"{len(by_part[TEST]):,} to test; {counted(len(vocabulary.known), 'word')}"
    )
    return PreparedCaptions(
        name=pictures.name,
        settings=replace(settings, training=settings.training.with_epochs(len(first))),
        reader=reader,
        store=store,
        parts=(first, second, third),
        shown=(shown[0], shown[1], shown[2]),
        longest=max(map(len, learned)) + _ROOM,
        source_hash=hash_of(pictures, data.features),
    )


def _tokens_of(pictures: CaptionedPictures, tokenizer: Tokenizer) -> list[list[list[str]]]:
    """Return the tokens of the captions of each picture.

    Raises:
        DataError: there are too few.
    """
    captions = pictures.captions or []
    tokens = [[cut for text in texts if (cut := tokenizer.tokens(text))] for texts in captions]
    captioned = sum(map(bool, tokens))
    if not captioned:
        raise DataError(f"{pictures.name}: no caption holds a word.")
    if captioned < 3:
        raise DataError(
            f"{pictures.name}: there {'is' if captioned == 1 else 'are'} "
            f"{counted(captioned, 'picture')} with a caption; expected three or more, to learn "
            "from, to validate and to test on."
        )
    return tokens


def _captioned(
    pictures: CaptionedPictures, store: PictureStore, tokens: Sequence[Sequence[Any]], say: Say
) -> list[int]:
    """Return the places in the store of pictures that have a caption."""
    kept = [place for place, number in enumerate(store.numbers) if tokens[number]]
    without = [n for n in store.numbers if not tokens[n]]
    if without:
        first = ", ".join(pictures.places[number] for number in without[:_NAMED])
        more = ", …" if len(without) > _NAMED else ""
        have = counted(len(without), "picture has", "pictures have")
        say(f"left out, for {have} no caption: {first}{more}")
    if not kept:
        raise DataError(f"{pictures.name}: none of the pictures with a caption can be read.")
    return kept


def _cut(captions: Sequence[list[str]], longest: int) -> list[list[str]]:
    return [tokens[:longest] for tokens in captions]


def _tell(  # noqa: PLR0917  (of this file alone)
    pictures: CaptionedPictures,
    store: PictureStore,
    by_part: Sequence[Sequence[int]],
    tokens: Sequence[Sequence[list[str]]],
    vocabulary: TokenVocabulary,
    data: CaptionData,
    say: Say,
) -> None:
    """Tell what is odd about captions."""

    def of(part: int) -> list[list[str]]:
        return [each for place in by_part[part] for each in tokens[store.numbers[place]]]

    long = sum(len(each) > data.longest for each in of(TRAIN))
    if long:
        say(
            f"{counted(long, 'caption has', 'captions have')} more than {data.longest} words: "
            f"their first {data.longest} are learned from ({named('longest')})"
        )
    unknown = Counter(
        token
        for part in (VALIDATION, TEST)
        for each in of(part)
        for token in each
        if token not in vocabulary
    )
    if unknown:
        words = ", ".join(map(repr, list(unknown)[:10])) + (", …" if len(unknown) > 10 else "")
        say(f"warning: never learned from, so that it cannot be written: {words}")
    if len(set(map(tuple, of(TRAIN)))) == 1:
        say("warning: all captions of the training set are the same")
    both = {store.keys[p] for p in by_part[TRAIN]} & {store.keys[p] for p in by_part[TEST]}
    if both:
        say(
            f"warning: {counted(len(both), 'picture')} of the test set "
            f"{'is' if len(both) == 1 else 'are'} learned from, too"
        )


def _examples(
    store: PictureStore,
    places: Sequence[int],
    tokens: Sequence[Sequence[list[str]]],
    reader: PairReader,
) -> CaptionExamples:
    rows, captions = [], []
    for place in places:
        for each in _cut(tokens[store.numbers[place]], reader.longest):
            rows.append(store.rows[place])
            captions.append(reader.encode_target(each))
    return CaptionExamples(store.values, rows, captions)


def _shown(
    pictures: CaptionedPictures, store: PictureStore, places: Sequence[int], reader: PairReader
) -> ShownPictures:
    captions = pictures.captions or [[] for _ in pictures.files]
    return ShownPictures(
        store.values,
        [store.rows[place] for place in places],
        [
            [plain for text in captions[store.numbers[place]] if (plain := reader.plain(text))]
            for place in places
        ],
        [pictures.places[store.numbers[place]] for place in places],
        [store.keys[place] for place in places],
    )


def all_shown(
    pictures: CaptionedPictures, store: PictureStore, reader: PairReader
) -> ShownPictures:
    """Return all pictures of a source, as they are asked about."""
    return _shown(pictures, store, range(len(store.numbers)), reader)


def examples_of(shown: ShownPictures, reader: PairReader) -> CaptionExamples:
    """Return the captions of pictures that are known, whole, as examples."""
    rows, captions = [], []
    for number, references in zip(shown.numbers, shown.references, strict=True):
        for text in references:
            rows.append(number)
            captions.append(reader.encode_target(reader.target.tokenizer.tokens(text)))
    return CaptionExamples(shown.values, rows, captions)


def statistics_of(shown: ShownPictures) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of each colour, or of each number of a place, over
    the pictures or frames of a part; 1 where it is always the same."""
    total: Tensor | None = None
    squares: Tensor | None = None
    count = 0
    for first in range(0, len(shown), _ROWS_AT_ONCE):
        seen = shown.seen(range(first, min(first + _ROWS_AT_ONCE, len(shown))))
        values = seen.values
        if values.dim() == 5:
            values = values[torch.arange(values.shape[1]) < seen.frames[:, None]]
        flat = values.double().flatten(0, -2)
        total = flat.sum(0) if total is None else total + flat.sum(0)
        square = flat.square().sum(0)
        squares = square if squares is None else squares + square
        count += len(flat)
    assert total is not None
    assert squares is not None
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean.float(), torch.where(deviation > 1e-6, deviation, 1.0).float()
