"""Whether data are those that a run was fitted on."""

from collections.abc import Mapping
from typing import Any

from conveyor.tasks.task import Say


def is_source_of(fitted: Mapping[str, Any], source: str, by_size: str, say: Say) -> bool:
    """Return whether files are those that a run was fitted on, and tell it.

    Args:
        fitted: what the run keeps of its data.
        source: the hash of what the files hold.
        by_size: the hash of their names and sizes, which is all that older runs keep.
        say: called with each line for the user.
    """
    known = fitted.get("source")
    if known == source:
        say("this is the data of the run: its test set is scored")
        return True
    if known == by_size:
        say(
            "these are the data of the run by the names and sizes of the files, which is all that "
            "this older run keeps of them: its test set is scored. If the files hold something "
            "else now, give them other names"
        )
        return True
    return False
