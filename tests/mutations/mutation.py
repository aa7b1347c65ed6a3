"""Reads mutations.toml: which faults there are, and where each stands in the source."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("mutations.toml")
ROOT = Path(__file__).parents[2]
PACKAGE = Path("src") / "conveyor"


class MutationError(Exception):
    """A mutation that cannot be planted as the list says."""


@dataclass(frozen=True)
class Mutation:
    """A fault: ``replacement`` for ``text`` in a file or folder ``where`` of the package. It breaks
    ``law``, which one of the ``tests`` must find: files, or tests as pytest names them."""

    number: int
    where: str
    text: str
    replacement: str
    law: str
    tests: tuple[str, ...]

    @property
    def area(self) -> str:
        """The folder of the package that it stands in."""
        return self.where.partition("/")[0]

    def __str__(self) -> str:
        return f"{self.number} {self.where}: {self.law}"

    @property
    def test_files(self) -> tuple[Path, ...]:
        """The files of its tests."""
        return tuple(Path(test.partition("::")[0]) for test in self.tests)

    def file(self, root: Path) -> Path:
        """Return the file that the text stands in, relative to the root of a tree.

        Raises:
            MutationError: the text does not stand exactly once where the list says.
        """
        place = root / PACKAGE / self.where
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        counts = {
            path: path.read_text(encoding="utf-8").count(self.text)
            for path in files
            if path.is_file()
        }
        if sum(counts.values()) != 1:
            holders = [str(path.relative_to(root)) for path, count in counts.items() if count]
            raise MutationError(
                f"mutation {self}: the text {self.text!r} stands {sum(counts.values())} times in "
                f"{PACKAGE / self.where} ({', '.join(holders) or 'in no file'}); expected once. "
                f"Correct it in {LIST.relative_to(ROOT)}."
            )
        return next(path for path, count in counts.items() if count).relative_to(root)

    def planted(self, source: str) -> str:
        """Return a file's source with the fault in it."""
        return source.replace(self.text, self.replacement)


def read_list(path: Path = LIST) -> list[Mutation]:
    """Return the mutations of a list, numbered from 0 in its order."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]
    return [
        Mutation(
            number,
            entry["where"],
            entry["text"],
            entry["replacement"],
            entry["law"],
            tuple(entry["tests"]),
        )
        for number, entry in enumerate(entries)
    ]


def chosen(mutations: list[Mutation], selections: list[str]) -> list[Mutation]:
    """Return the mutations that any of some selections names; all if there is no selection.

    Args:
        mutations: the list.
        selections: ``"10:20"``, a slice of numbers; ``"7"``, one number; ``"kernels"``, an area.

    Raises:
        MutationError: a selection names no mutation.
    """
    if not selections:
        return mutations
    numbers: set[int] = set()
    for selection in selections:
        first, colon, last = selection.partition(":")
        if colon and all(end.isdecimal() or not end for end in (first, last)):
            named = mutations[slice(int(first or 0), int(last) if last else None)]
        elif selection.isdecimal():
            named = [mutation for mutation in mutations if mutation.number == int(selection)]
        else:
            named = [mutation for mutation in mutations if mutation.area == selection]
        if not named:
            areas = ", ".join(sorted({mutation.area for mutation in mutations}))
            raise MutationError(
                f"{selection!r} names no mutation. Give a number or a slice from 0 to "
                f"{len(mutations)}, as 10:20, or one of: {areas}."
            )
        numbers.update(mutation.number for mutation in named)
    return [mutation for mutation in mutations if mutation.number in numbers]
