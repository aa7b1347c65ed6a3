"""Looks inside a fitted run."""

from collections.abc import Callable, Sequence
from typing import Any

from conveyor.errors import RunError, named
from conveyor.inside.compared import Compared, after_training, untrained
from conveyor.inside.look import Look, look
from conveyor.pages.words import Words
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.run import SETTINGS, Run


def inspect_run(
    run: Run,
    source: Any = None,
    *,
    beside: Sequence[Run] = (),
    say: Callable[[str], None] = print,
    **options: Any,
) -> Look:
    """Look inside a run's network on a sequence.

    Args:
        run: the run.
        source: data of the kind that it was fitted on; None for what the run holds.
        beside: runs of the same task on the same data, to compare it with; without any it is
            compared with itself before training, and with two other cells.
        say: called with each line for the user.
        options: that choose the sequence, see ``Run.read``.

    Raises:
        DataError: the data cannot be used, or holds no such sequence.
        RunError: another run is of another task, or reads another sequence.
        SettingError: an option is out of its range.
        ShapeError: another run reads another number of steps.
    """
    read = run.read(source, say=say, **options)
    network = _trained(run, read)
    if beside:
        others = []
        for other in beside:
            if other.task != run.task:
                raise RunError(
                    f"{other.folder} is a run of the task {other.task}, {run.folder} of "
                    f"{run.task}. Give runs of one task."
                )
            if read.repeat:
                seen = other.read(None, say=say, **read.repeat)
            else:
                seen = other.read(source, say=say, **options)
            if not read.is_like(seen):
                raise RunError(
                    f"{other.folder} reads another sequence than {run.folder}. Give both the same "
                    f"{named('data')}, and runs that were fitted on the same data."
                )
            others.append(_trained(other, seen))
        if len({one.name for one in (network, *others)}) < len(others) + 1:
            network, *others = (
                _with_folder(one, from_)
                for one, from_ in zip((network, *others), (run, *beside), strict=True)
            )
    else:
        others = untrained(network.layer, network.inputs)
    settings = (run.folder / SETTINGS).read_text(encoding="utf-8")
    return look(read, network, others, settings=settings, say=say)


def _trained(run: Run, read: ReadSequence) -> Compared:
    return Compared(
        after_training(run.recurrent.program),
        Words(f"the model ‘{_name(run)}’", f"mô hình ‘{_name(run)}’"),
        read.layer or run.recurrent,
        read.inputs,
    )


def _with_folder(one: Compared, run: Run) -> Compared:
    """Return a network with the name of its run, which tells it from others of its cell."""
    with_folder = Words(f"{one.name.en} ({run.folder})", f"{one.name.vi} ({run.folder})")
    return Compared(with_folder, one.about, one.layer, one.inputs, one.dashed)


def _name(run: Run) -> str:
    return run.folder.resolve().name  # also of "."
