"""What the command line prints."""

import subprocess

import pytest

from conveyor.cli.output import command_line

NAMES = ("a b", "it's", "\x1b[31m", "a\x9bb", "x\u202ey", "back\\sl\x07", "new\nline", "q'\x01\\")


@pytest.mark.parametrize("name", NAMES)
def test_a_command_can_be_pasted_whatever_a_file_is_called(name: str) -> None:
    line = command_line(["printf", "%s", name])
    assert not {"\x1b", "\x9b"} & set(line)
    ran = subprocess.run(
        ["bash", "-c", line], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert ran.stdout.decode() == name
