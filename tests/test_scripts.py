"""The scripts: plain shell that parses, and CI runs what the README tells a stranger to run."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from tests.slow_files import FIRST

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_plain_shell_and_may_be_run(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    assert script.stat().st_mode & 0o111 == 0o111
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_the_files_that_begin_first_exist() -> None:
    assert [file for file in FIRST if not (ROOT / file).is_file()] == []
    assert len(set(FIRST)) == len(FIRST)


def test_ci_runs_what_the_readme_says() -> None:
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert "scripts/check" in ci
    assert "scripts/test" in ci
    for page in ("README.md", "README.vi.md"):
        commands = (ROOT / page).read_text(encoding="utf-8")
        assert "\nscripts/demo " in commands
        assert "\nscripts/test " in commands


def test_every_dependency_of_the_package_is_pinned_for_the_scripts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    extras = project["optional-dependencies"]
    # No script installs it: statsforecast wants a pandas below 3, and the tests the latest.
    del extras["baselines"]
    wanted = [*project["dependencies"], *chain(*extras.values())]
    names = {re.split(r"[<>=!~ ]", each)[0].lower() for each in wanted}
    assert names <= pinned
