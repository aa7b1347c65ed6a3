"""The sections of the report on replies."""

import html
from collections import Counter
from collections.abc import Iterable

from conveyor.data.turns import turns_of
from conveyor.pages.frame import paragraph, table
from conveyor.pages.words import Words, number_text
from conveyor.tasks.chat.reply_baselines import FREQUENT, KNESER_NEY, RETRIEVAL
from conveyor.tasks.chat.reply_mixture import ReplyMixture
from conveyor.tasks.chat.scored_replies import RANKED_BY, ScoredReplies
from conveyor.tasks.chat.true_among import CANDIDATES, by_chance
from conveyor.tasks.chat.variety import commonest_share, distinct
from conveyor.tasks.pairs.pair_report import (
    ABOUT_MAPS,
    LONGEST,
    MAPS,
    SHORTEST,
    attention_map,
    leaks_told,
    shortened,
)
from conveyor.tasks.results import Section

# So many samples, and of the most frequent replies, are shown.
_SAMPLES, _FREQUENT = 12, 5


def sections(scored: ScoredReplies) -> Iterable[Section]:
    """Yield the sections: what it replied, whether it finds true replies and how likely they are,
    how varied its own are, where it looked, and what was seen before."""
    yield Section(Words("Examples", "Mạng đã đáp gì"), _samples(scored))
    yield Section(
        Words(f"Finding the true reply among {CANDIDATES}", f"Câu đáp thật trong {CANDIDATES} câu"),
        _found(scored),
    )
    yield Section(
        Words("Perplexity of the true replies", "Câu đáp thật có xác suất ra sao"), _likely(scored)
    )
    yield Section(Words("Diversity of the replies", "Câu đáp đa dạng đến đâu"), _varied(scored))
    yield Section(Words("Attention", "Mạng nhìn vào đâu"), _maps(scored))
    if scored.leaks:
        told = leaks_told(scored.sides, scored.leaks, len(scored.asked))
        yield Section(Words("Overlap with the training set", "Đã gặp khi học"), told)


def _samples(scored: ScoredReplies) -> str:
    """Return some contexts with the true reply, the network's, and what retrieval replies."""
    about = Words(
        "Random examples: the context, the true reply, the output of the network, and the reply "
        "to the most similar context in the training set. Many replies can be right, and no "
        "score can say how good these are.",
        "Các ví dụ được rút ngẫu nhiên: điều đã nói, câu đáp của người, câu mạng viết, và câu đáp "
        "cho đoạn giống nhất trong phần huấn luyện. Một lời có thể có nhiều câu đáp hợp; hãy tự "
        "đọc, vì không điểm số nào nói được chúng hay đến đâu.",
    )
    step = max(len(scored.answered) // _SAMPLES, 1)
    items = [_sample(scored, place) for place in range(0, len(scored.answered), step)][:_SAMPLES]
    return paragraph(about) + f'<ol class="worst">{"".join(items)}</ol>'


def _sample(scored: ScoredReplies, place: int) -> str:
    number = scored.answered[place]
    rows = [
        (Words("said", "lời nói"), shortened(turn)) for turn in turns_of(scored.asked.shown[number])
    ]
    rows.append(
        (Words("true reply", "câu đáp thật"), shortened(scored.asked.references[number][0]))
    )
    written = scored.written[place].text
    rows.append((Words("network", "mạng"), f"<strong>{shortened(written) or '—'}</strong>"))
    if scored.retrieved is not None:
        rows.append((Words("retrieval", "truy hồi"), shortened(scored.retrieved[place])))
    lines = "".join(
        f'<p><span class="answer">{label.html()}</span> {text}</p>' for label, text in rows
    )
    return f"<li>{lines}</li>"


def _found(scored: ScoredReplies) -> str:
    about = Words(
        f"{len(scored.trials):,} replies of the test set, each among {CANDIDATES - 1} other "
        "replies of it, the same for all methods. The network chooses the reply with the highest "
        "score. P(T|S) is the probability of a reply T given the context S. P(T) is its "
        "probability without context, which is high for short and common replies. |T| is its "
        "number of tokens. The score in the table above is in bold. Retrieval chooses the reply "
        "whose words are the most similar to those of the context (cosine of TF-IDF weights).",
        f"{len(scored.trials):,} câu đáp của phần kiểm tra, mỗi câu đứng giữa {CANDIDATES - 1} câu "
        "khác rút từ đó, giống nhau cho mọi phương pháp. Mạng chọn câu mà nó cho là có xác suất "
        "cao nhất. P(T|S) là xác suất của câu đáp T sau lời đã nói S; P(T) là xác suất khi chưa ai "
        "nói gì, vốn cao ở các câu ngắn và thông dụng; |T| là số đơn vị của câu. Hàng in đậm là "
        "hàng được lấy làm điểm số ở trên. Truy hồi chọn câu có từ ngữ giống lời đã nói nhất, từ "
        "hiếm có trọng số lớn hơn (cosin của trọng số TF-IDF).",
    )
    rows = [
        ([name, _share(float(scored.found_by(name).mean()))], name == RANKED_BY)
        for name in scored.rankings
    ]
    if scored.simple is not None:
        retrieval = scored.simple.found(scored.pairs, scored.trials)
        counts = scored.simple.found_by_counts(scored.pairs, scored.trials)
        rows.append(([RETRIEVAL, _share(float(retrieval.mean()))], False))
        rows.append(([KNESER_NEY, _share(float(counts.mean()))], False))
    rows.append((["by chance", _share(by_chance(scored.trials))], False))
    mixture = scored.network.mixture
    mixed = "" if mixture is None else paragraph(_about_mixture(mixture))
    return paragraph(about) + mixed + table(["ranked by", "found"], rows)


def _about_mixture(mixture: ReplyMixture) -> Words:
    """Return what the network is mixed with, and how much."""
    said = number_text(100 * mixture.weights.said, ".1f")
    counts = number_text(100 * mixture.with_counts.counts, ".0f")
    return Words(
        "The network can copy words of the context, preferably rare ones. Copied words have a "
        f"weight of {said.en} %, and the network has the rest; this maximises the likelihood of "
        "the validation set. “With counts” also mixes in Kneser-Ney's model of replies, with a "
        f"weight of {counts.en} %. It predicts the next token better but ignores the context, so "
        "it is only scored and writes nothing.",
        f"Từ vừa nói có thể được nhắc lại, nhất là từ hiếm: chúng góp {said.vi} % khi viết, phần "
        "còn lại là của mạng; tỷ lệ này cho phần kiểm định xác suất cao nhất. “Thêm mô hình đếm” "
        f"là thêm mô hình Kneser-Ney của câu đáp, với tỷ lệ {counts.vi} %: nó đoán đơn vị tiếp "
        "theo tốt hơn nhưng không biết gì về lời đã nói, nên không được dùng để viết.",
    )


def _likely(scored: ScoredReplies) -> str:
    share = number_text(100 * scored.unknown, ".1f")
    about = Words(
        "Perplexity: the number of equally likely tokens among which a model would be as "
        "uncertain, for the true reply. Kneser-Ney counts sequences of tokens in replies and "
        "ignores the context. Runs with other units can be compared by bits per character. "
        f"{share.en} % of the tokens of these replies are unknown and count as one token, for "
        "both models.",
        "Perplexity: khi viết câu đáp thật, mô hình như phải chọn giữa bao nhiêu đơn vị có khả "
        "năng ngang nhau. Kneser-Ney đếm các chuỗi đơn vị trong câu đáp và không biết lời đã nói. "
        "Với đơn vị khác, hãy so sánh bằng bit mỗi ký tự. Trong các đơn vị của những câu đáp này, "
        f"{share.vi} % là chưa biết và được tính như một đơn vị chung, cho cả hai.",
    )
    ours = scored.per_token(scored.log_probabilities)
    rows = [([scored.network.title, f"{ours[0]:.2f}", f"{ours[1]:.3f}"], True)]
    if scored.is_mixed:
        for name, logs in (
            ("network alone", scored.by_network_alone),
            ("with counts", scored.with_counts),
        ):
            other = scored.per_token(logs)
            rows.append(([name, f"{other[0]:.2f}", f"{other[1]:.3f}"], False))
    if scored.simple is not None:
        logs = scored.simple.counts.log_probabilities(scored.pairs.targets)
        theirs = scored.per_token(logs)
        rows.append(([KNESER_NEY, f"{theirs[0]:.2f}", f"{theirs[1]:.3f}"], False))
    return paragraph(about) + table(["", "perplexity", "bits per character"], rows)


def _varied(scored: ScoredReplies) -> str:
    about = Words(
        "A network that has learned little gives the same reply to everything. distinct-1 and "
        "distinct-2 are the shares of different words and word pairs in all replies; “most "
        "frequent” is the share of the most frequent reply.",
        "Mạng học chưa đủ thì đáp mọi lời bằng một câu. distinct-1 và distinct-2: trong mọi câu "
        "đáp, tỷ lệ từ và cặp từ khác nhau; “hay gặp nhất”: tỷ lệ của câu đáp hay gặp nhất.",
    )
    texts = [each.text for each in scored.written]
    kinds = [(scored.network.title, texts)]
    if scored.retrieved is not None and scored.simple is not None:
        kinds.append((RETRIEVAL, scored.retrieved))
        kinds.append((FREQUENT, [scored.simple.commonest] * len(texts)))
    kinds.append(
        ("true replies", [scored.asked.references[number][0] for number in scored.answered])
    )
    rows = [
        (
            [
                name,
                f"{distinct(answers, 1):.3f}",
                f"{distinct(answers, 2):.3f}",
                _share(commonest_share(answers)),
            ],
            place == 0,
        )
        for place, (name, answers) in enumerate(kinds)
    ]
    often = "".join(
        f"<li>{html.escape(text) or '—'} ({count:,})</li>"
        for text, count in Counter(texts).most_common(_FREQUENT)
    )
    title = Words("Most frequent replies", "Các câu mạng hay đáp nhất")
    return (
        paragraph(about)
        + table(["", "distinct-1", "distinct-2", "most frequent"], rows)
        + f"<h3>{title.html()}</h3><ol>{often}</ol>"
    )


def _maps(scored: ScoredReplies) -> str:
    """Return maps of attention over the tokens of some replies."""
    network = scored.network
    chosen = [
        place
        for place, written in enumerate(scored.written)
        if SHORTEST <= len(written.tokens) <= LONGEST
        and len(scored.asked.sources[scored.answered[place]]) <= LONGEST
    ][:MAPS]
    maps = []
    for place in chosen:
        number = scored.answered[place]
        (looked,) = network.looked_at(scored.asked.sources[number], [scored.written[place]])
        maps.append(attention_map(network.reader.source_tokens(scored.asked.shown[number]), looked))
    if not maps:
        return paragraph(
            Words("No reply here is short enough to show.", "Không có câu đáp nào đủ ngắn để vẽ.")
        )
    return paragraph(ABOUT_MAPS) + "".join(maps)


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
