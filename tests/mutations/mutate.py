"""Plants each mutation in a copy of the working tree and runs the tests that must find it.

Usage: scripts/mutate [--anew] [--count] [NUMBER | FIRST:LAST | AREA]...

Results are kept, so that a run that was stopped goes on: a result counts for as long as the
mutation, the file that it changes and its tests are what they were. ``--anew`` forgets them.
``--count`` runs all of a mutation's tests instead of stopping at the first that finds it.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.mutations.mutation import ROOT, Mutation, MutationError, chosen, read_list

# Beside the repository's own results of tests, which git ignores.
RESULTS = ROOT / ".pytest_cache" / "mutations.json"
# Some mutations make loops endless. The slowest guarding file takes two minutes on two cores.
SECONDS = 900

# What pytest's exit status says.
PASSED, USAGE, NO_TESTS = 0, 4, 5


@dataclass(frozen=True)
class Outcome:
    """What became of a mutation: which test found it first, and pytest's count of tests."""

    found: bool
    first: str
    counts: str
    seconds: float

    def __str__(self) -> str:
        first = f", first {self.first}" if self.first else ""
        return (
            f"{'found' if self.found else 'SURVIVED'} in {self.seconds:.0f} s: {self.counts}{first}"
        )


class Tree:
    """A copy of the working tree, with all that git does not ignore."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "conveyor"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                target = self.root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        shared = ROOT.parent / "shared"
        if shared.exists():
            (folder / "shared").symlink_to(shared.resolve())
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(self.root / "src"),
            "CONVEYOR_CACHE_DIR": str(folder / "code"),
        }
        self._environment.pop("CONVEYOR_LONG_TESTS", None)

    def test(self, tests: Iterable[str], *, stop: bool) -> Outcome:
        """Run tests in the tree as it is.

        Args:
            tests: files, or single tests as pytest names them.
            stop: whether to stop at the first that fails.

        Raises:
            MutationError: there are no such tests.
        """
        failed = self.root / ".pytest_cache" / "v" / "cache" / "lastfailed"
        failed.unlink(missing_ok=True)
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", *(["-x"] if stop else []), *tests]
        try:
            ran = subprocess.run(
                command,
                cwd=self.root,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(True, "", f"no end after {SECONDS} s", SECONDS)
        seconds = time.monotonic() - began
        if ran.returncode in (USAGE, NO_TESTS):
            raise MutationError(f"{' '.join(tests)}: {(ran.stdout + ran.stderr).strip()[-500:]}")
        names = list(json.loads(failed.read_text())) if failed.exists() else []
        last = (ran.stdout.strip().splitlines() or [""])[-1]
        counts = last if re.search(r"\d (failed|passed|error)", last) else f"exit {ran.returncode}"
        return Outcome(ran.returncode != PASSED, names[0] if names else "", counts, seconds)

    def try_out(self, mutation: Mutation, *, stop: bool) -> Outcome:
        """Plant a mutation, run its tests, and take it out again.

        Raises:
            MutationError: it cannot be planted, or has no tests.
        """
        path = self.root / mutation.file(self.root)
        right = path.read_text(encoding="utf-8")
        kept = path.with_suffix(".right")
        shutil.copy2(path, kept)
        try:
            path.write_text(mutation.planted(right), encoding="utf-8")
            outcome = self.test(mutation.tests, stop=stop)
        finally:
            shutil.move(kept, path)  # with its time, by which Python knows its compiled files
        return outcome

    def failing(self, tests: Iterable[str]) -> list[str]:
        """Return which tests fail in the tree as it is, without a mutation."""
        distinct = sorted(set(tests))
        if not distinct or not self.test(distinct, stop=False).found:
            return []
        return [test for test in distinct if self.test([test], stop=True).found]


def key_of(mutation: Mutation) -> str:
    """Return what a result of a mutation is kept under: a hash of all that it depends on most."""
    digest = hashlib.sha256(repr(mutation).encode())
    for path in (mutation.file(ROOT), *mutation.test_files):
        digest.update((ROOT / path).read_bytes())
    return digest.hexdigest()


def kept_results() -> dict[str, Outcome]:
    """Return the results that earlier runs have left."""
    if not RESULTS.exists():
        return {}
    stored = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {key: Outcome(**outcome) for key, outcome in stored.items()}


def keep(key: str, outcome: Outcome) -> None:
    """Add a result to those that are kept, by this run or by another beside it."""
    results = {**kept_results(), key: outcome}
    RESULTS.parent.mkdir(exist_ok=True)
    new = RESULTS.with_suffix(f".{os.getpid()}")
    stored = {key: asdict(outcome) for key, outcome in results.items()}
    new.write_text(json.dumps(stored, indent=1), encoding="utf-8")
    new.replace(RESULTS)


def main(arguments: Sequence[str]) -> int:
    """Run the mutations that the command line names; the exit status is 1 if one survived, and 2 if
    one could not be tried."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("selections", nargs="*", metavar="NUMBER | FIRST:LAST | AREA")
    parser.add_argument("--anew", action="store_true", help="forget kept results")
    parser.add_argument("--count", action="store_true", help="count all tests that find each")
    options = parser.parse_args(arguments)
    try:
        mutations = chosen(read_list(), options.selections)
        keys = {mutation.number: key_of(mutation) for mutation in mutations}
    except (MutationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    results = {} if options.anew else kept_results()
    survived, wrong = [], []
    # What found each: it must pass without any mutation.
    finders: dict[str, Mutation] = {}
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder))
        for mutation in mutations:
            outcome = results.get(keys[mutation.number])
            if outcome is None:
                try:
                    outcome = tree.try_out(mutation, stop=not options.count)
                except MutationError as error:
                    wrong.append(mutation)
                    print(f"{mutation}\n    error: {error}", flush=True)
                    continue
                keep(keys[mutation.number], outcome)
            if not outcome.found:
                survived.append(mutation)
            elif outcome.first:
                finders[outcome.first] = mutation
            print(f"{mutation}\n    {outcome}", flush=True)
        for test in tree.failing(finders):
            wrong.append(finders[test])
            print(f"error: {test} fails without a mutation too. Mend it first.")
    tried = len(mutations) - len(wrong)
    print(f"{tried - len(survived)} of {len(mutations)} mutations were found.")
    for mutation in survived:
        print(f"survived: {mutation} Tests: {' '.join(mutation.tests)}")
    for mutation in wrong:
        print(f"could not be tried: {mutation}")
    return 2 if wrong else 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
