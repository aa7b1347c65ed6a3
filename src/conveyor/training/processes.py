"""Which process speaks and writes, where there are several."""

import os


def is_main_process() -> bool:
    """Whether this process speaks and writes. Lightning starts one more for each further device
    and numbers them by this variable."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def silence(line: str) -> None:
    """Say nothing: what the other processes do instead of printing."""
