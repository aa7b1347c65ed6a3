"""Sentences that are made up, with a tag for each word."""

import random
from pathlib import Path

_NAMES = ("Hà Nội", "Huế", "Đà Nẵng", "Cần Thơ", "Lan", "Minh")
_VERBS = ("gặp", "thấy", "yêu", "nhớ")
_NOUNS = ("nhà", "cá", "sách", "xe đạp", "mèo")


def tagged(count: int, seed: int = 0) -> list[tuple[list[str], list[str]]]:
    """Return different sentences and the tags of their words: ``sách`` is a noun, and a verb after
    ``đang``, so that neighbours count."""
    draw = random.Random(seed)
    sentences: dict[tuple[str, ...], list[str]] = {}
    while len(sentences) < count:
        words, tags = [draw.choice(_NAMES)], ["NAME"]
        if draw.random() < 0.5:
            words, tags = [*words, "đang", "sách"], [*tags, "ADV", "VERB"]
        else:
            words, tags = [*words, draw.choice(_VERBS)], [*tags, "VERB"]
        for _ in range(draw.randint(1, 3)):
            words, tags = [*words, draw.choice(_NOUNS)], [*tags, "NOUN"]
        words, tags = [*words, "."], [*tags, "PUNCT"]
        sentences.setdefault(tuple(words), tags)
    return [(list(words), tags) for words, tags in sentences.items()]


def write_conllu(path: Path, count: int = 40, seed: int = 0) -> Path:
    """Write sentences in CoNLL-U."""
    lines = []
    for words, tags in tagged(count, seed):
        for number, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
            lines.append(f"{number}\t{word}\t{word}\t{tag}\t{tag[0]}\t_\t0\troot\t_\t_")
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_slots(folder: Path, count: int = 40, seed: int = 0) -> Path:
    """Write sentences, tags of spans and intents in three files: seq.in, seq.out, label."""
    draw = random.Random(seed)
    rows: dict[str, tuple[str, str]] = {}
    while len(rows) < count:
        city, day = (
            draw.choice(["New York", "Rome", "Oslo", "San Jose", "Bonn"]),
            draw.choice(["today", "on Monday"]),
        )
        verb, intent = draw.choice([("fly", "flight"), ("drive", "road")])
        words = f"{draw.choice(['i', 'we', 'they'])} {verb} to {city} {day}"
        of_city = "B-city I-city" if " " in city else "B-city"
        of_day = "O B-day" if " " in day else "B-day"
        rows.setdefault(words, (f"O O O {of_city} {of_day}", intent))
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (
        ("seq.in", list(rows)),
        ("seq.out", [tags for tags, _ in rows.values()]),
        ("label", [intent for _, intent in rows.values()]),
    ):
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / "seq.in"
