"""The sections of the report on vectors of words."""

import html
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go
import torch
from torch import Tensor

from conveyor.pages.frame import chart, paragraph, table
from conveyor.pages.words import Words, counted_words
from conveyor.tasks.results import Section
from conveyor.tasks.words.nearest_words import NearestWords
from conveyor.tasks.words.prepared_words import PreparedWords
from conveyor.tasks.words.window_model import WindowModel
from conveyor.tasks.words.word_list import WordList

# Words whose neighbours are shown, neighbours of each, and words of the map.
_SHOWN, _NEIGHBOURS, _MAPPED = 12, 8, 45

# The most frequent words stand beside everything, and say little; of those up to this rank some
# are shown.
_SKIPPED, _LAST = 40, 600


def frequent_words(words: WordList, count: int) -> list[int]:
    """Return the numbers of frequent words: of those with letters, without the most frequent ones,
    evenly spread.

    Args:
        words: the words.
        count: how many are asked for; short texts have fewer.
    """
    lettered = [
        number
        for number, word in enumerate(words.words[: 4 * _LAST])
        if sum(letter.isalpha() for letter in word) > 1
    ]
    usual = lettered[_SKIPPED:_LAST] if len(lettered) > _SKIPPED + count else lettered
    step = max(len(usual) / count, 1)
    return [usual[int(place * step)] for place in range(min(count, len(usual)))]


def sections(network: WindowModel, counted: NearestWords, text: PreparedWords) -> Iterable[Section]:
    """Yield the sections: neighbours, a map, and which words have a vector.

    Args:
        network: the model.
        counted: vectors by counting, of the same words.
        text: that was learned from.
    """
    yield Section(Words("Nearest neighbours", "Những từ gần nhau"), _neighbours(network, counted))
    yield Section(Words("Map of words", "Bản đồ từ"), _map(network))
    yield Section(Words("Vocabulary", "Những từ có véc-tơ"), _coverage(text))


def _neighbours(network: WindowModel, counted: NearestWords) -> str:
    about = Words(
        "Frequent words and the words with the most similar vectors (cosine similarity), the "
        "nearest first. Words that occur in similar contexts are near each other, whether or not "
        "they mean the same.",
        "Một số từ hay gặp, và những từ có véc-tơ gần cùng hướng nhất, gần nhất đứng trước. Những "
        "từ thường đứng cạnh cùng các từ khác sẽ ở gần nhau, dù đồng nghĩa hay không.",
    )
    numbers = frequent_words(network.words, _SHOWN)
    ours = NearestWords(network.words, network.table()).of_numbers(numbers, 2 * _NEIGHBOURS)
    theirs = counted.of_numbers(numbers, 2 * _NEIGHBOURS)
    items = "".join(
        f"<li><p><b>{html.escape(network.words.words[number])}</b></p>"
        f'<p><span class="answer">{html.escape(network.title)}</span> {_listed(own)}</p>'
        f'<p><span class="answer">PMI + SVD</span> {_listed(other)}</p></li>'
        for number, own, other in zip(numbers, ours, theirs, strict=True)
    )
    return f'{paragraph(about)}<ol class="worst">{items}</ol>'


def _listed(near: Sequence[tuple[str, float]]) -> str:
    """Return neighbours with a letter, as HTML: signs say nothing to a reader."""
    lettered = [word for word, _ in near if any(letter.isalpha() for letter in word)]
    return html.escape(", ".join(lettered[:_NEIGHBOURS]))


def _map(network: WindowModel) -> str:
    about = Words(
        "Frequent words by the first two principal components of their vectors. Two numbers "
        "cannot hold all that a vector holds: words that are near here need not be neighbours. "
        "The table above is more reliable.",
        "Các từ hay gặp, đặt theo hai hướng chính của véc-tơ (thành phần chính). Hai con số không "
        "giữ hết được những gì véc-tơ biết: từ ở gần nhau có thể là lân cận, nhưng bảng ở trên "
        "đáng tin hơn.",
    )
    numbers = frequent_words(network.words, _MAPPED)
    if len(numbers) < 3:  # two words make no map
        return paragraph(about)
    places = principal(torch.nn.functional.normalize(network.table()[numbers], dim=-1))
    figure = go.Figure(
        go.Scatter(
            x=places[:, 0].tolist(),
            y=places[:, 1].tolist(),
            text=[html.escape(network.words.words[number]) for number in numbers],
            mode="text",
            hoverinfo="text",
        )
    )
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)
    return paragraph(about) + chart(figure, "map", height=560, hover="closest")


def principal(vectors: Tensor) -> Tensor:
    """Return the first two principal components of vectors, [N, 2]. The largest number of each
    direction is positive, so that the same vectors give the same map.

    Args:
        vectors: float [N, dim].
    """
    centred = vectors - vectors.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    two = directions[:2]
    signs = two.gather(1, two.abs().argmax(1, keepdim=True)).sign()
    places: Tensor = centred @ (two * signs).T
    return places


def _coverage(text: PreparedWords) -> str:
    words = counted_words(len(text.words), "word", "từ")
    about = Words(
        f"{words.en} have a vector. All others are too rare.",
        f"{words.vi} có véc-tơ. Những từ khác quá hiếm nên không học được gì về chúng.",
    )
    parts = (
        ("training set", text.known),
        ("validation set", text.checked),
        ("test set", text.asked),
    )
    rows = [
        ([name, f"{part.words + part.unknown:,}", f"{100 * part.covered:.1f} %"], False)
        for name, part in parts
    ]
    file = Words(
        "The file vectors.txt of the run holds them in the text format of word2vec, which "
        "conveyor fit classify --vectors and other programs read.",
        "Tệp vectors.txt của lần chạy chứa chúng ở dạng văn bản của word2vec; conveyor fit "
        "classify --vectors và các chương trình khác đọc được.",
    )
    return paragraph(about) + table(["part", "words read", "with a vector"], rows) + paragraph(file)
