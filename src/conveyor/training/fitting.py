"""Fits a network to a task: from the data to the run's folder."""

import shlex
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.data.files import json_text, write_whole
from conveyor.networks.network import Network, check_one_input
from conveyor.pages.words import Language, language_of
from conveyor.tasks import saved
from conveyor.tasks.lack_of_memory import in_memory
from conveyor.tasks.results import Results
from conveyor.tasks.run import (
    ANSWERS,
    INSIDE,
    METRICS,
    REPORT,
    SETTINGS,
    UNITS,
    VECTORS,
    Run,
    check_source,
)
from conveyor.tasks.settings import resumed_with, sources_of
from conveyor.tasks.settings_file import to_toml
from conveyor.tasks.task import Say, Task
from conveyor.tasks.task_registry import find
from conveyor.training.batches import loaders
from conveyor.training.checkpoints import find_resumed
from conveyor.training.fitter import Fitter
from conveyor.training.launch import is_main_process, silence
from conveyor.training.loop import Fitted, fit
from conveyor.training.processes import check_processes, wait_for_all
from conveyor.training.refitting import Refits
from conveyor.training.report import report_language, write_report
from conveyor.training.run_folder import (
    check_folder,
    open_folder,
    put_in_place,
    read_beginning,
    working_folder,
    write_beginning,
)
from conveyor.training.stopping import StopRequest


@dataclass(frozen=True)
class FittedRun:
    """A run that has just been fitted: its network, the course of the fit, its results on the
    test set, the commands, word by word, that look inside it (empty if it has no cell) and that
    use it (without the run's folder; empty if there is none), and whether ``conveyor serve`` has a
    page on which it can be tried."""

    folder: Path
    network: Network
    fitted: Fitted
    results: Results
    look_inside: list[str]
    next_command: tuple[str, ...] = ()
    has_page: bool = False


def fit_task(
    task_type: type[Task[Any]],
    source: Any,
    settings: Any,
    folder: Path,
    *,
    cell: str | Cell | Program | None = None,
    overwrite: bool = False,
    resume: bool = False,
    say: Say = print,
    request: StopRequest | None = None,
    language: str | None = None,
) -> FittedRun:
    """Fit a network to a task, score it beside baselines, and write the run's folder.

    Args:
        task_type: the class of the task.
        source: the data, see the task's ``prepare``.
        settings: a record of the task's class of settings.
        folder: the run's folder.
        cell: the cell; None for the one that the settings name, if the task has one.
        overwrite: whether to replace a run that is in the folder, see ``open_folder``.
        resume: whether to resume the run that is in the folder, with these ``settings``.
        say: called with each line for the user.
        request: the request to stop, which may end training early; the network is scored and
            written in any case.
        language: that the report begins in, ``"en"`` or ``"vi"``; None for the system's.

    Raises:
        DataError: the data cannot be used.
        SettingError: a setting does not fit the data or the cell.
        RunError: the folder may not be written, or there is nothing to resume.
        SaveError: a file could not be written.
    """
    request = request or StopRequest()
    # A resumed run goes on in the language that its report has.
    spoken = language_of(language or (report_language(folder / REPORT) if resume else None))
    say = say if is_main_process() else silence
    check_processes(settings.training, in_order=task_type.in_order)
    check_folder(folder, overwrite=overwrite, resume=resume)  # early: reading may take minutes
    work = working_folder(folder, overwrite=overwrite, resume=resume)
    if resume and work != folder:
        say(f"going on with the run that is to replace the one in {folder}; it is in {work}")
    cell = settings.cell if cell is None else cell
    program = None if cell is None else check_one_input(program_of(cell))
    torch.manual_seed(settings.training.seed)
    task = task_type.prepare(source, settings, say)
    task.asked_to_stop = lambda: request.stopped

    def build(task: Task[Any]) -> Network:
        # What the data decided about the network is among the task's settings.
        network: Network = task.network(program, task.settings.network)
        return network

    with in_memory():
        network = build(task)
    open_folder(folder, overwrite=overwrite, resume=resume)
    say(task.about(network))
    training, digest = task.settings.training, task.digest_with(program)
    fitter = Fitter(network, training, digest, in_order=task.in_order, usual_steps=task.usual_steps)
    resumed = find_resumed(work, fitter, say) if resume else None
    write_beginning(work, task.settings, program)
    batches = loaders(task, training)
    with request.listening():
        fitted = fit(fitter, batches, work, resumed=resumed, say=say, request=request)
        task.after_fit(network.eval())
        refits = Refits(
            fitted, build=build, training=training, folder=work, say=say, request=request
        )
        kept = refits.all(task, network)
        look_inside = ["conveyor", "inspect", str(folder)] if program is not None else []
        if look_inside and not task.holds_sequence:
            look_inside += ["--data", str(source)]
        run = FittedRun(
            folder,
            kept.network,
            fitted,
            kept.results,
            look_inside,
            kept.task.next_command,
            kept.task.has_page(),
        )
        try:
            if is_main_process():
                _write(run, work, kept.task, spoken)
                put_in_place(work, folder)
        finally:
            # When a process returns, the run is complete.
            wait_for_all(settings.training.processes)
    return run


def _write(run: FittedRun, folder: Path, task: Task[Any], language: Language) -> None:
    """Write the files of a run into a folder, which need not be the one that it is for yet."""
    toml = to_toml(task.settings)
    saved.save(folder, task.name, run.network, task.fitted_on())
    metrics = {
        "task": task.name,
        "part": "test",
        "scores": [scores.as_json() for scores in run.results.scores],
        **run.results.details,
        "fit": run.fitted.as_json(),
    }
    write_whole(folder / METRICS, json_text(metrics))
    write_whole(folder / SETTINGS, toml)
    if run.results.answers is not None:
        write_whole(folder / ANSWERS, run.results.answers().write_csv())
    if run.results.vectors is not None:
        write_whole(folder / VECTORS, run.results.vectors())
    # They show the weights of a fit before this one.
    for name in (INSIDE, UNITS):
        (folder / name).unlink(missing_ok=True)
    write_report(
        folder / REPORT,
        task.title,
        run.results,
        fitted=run.fitted,
        loss=task.loss,
        settings=toml,
        opening=tuple(task.opening(run.network)),
        look_inside=shlex.join(run.look_inside),
        language=language,
    )


def fit_named(
    task: str,
    source: Any,
    *,
    out: str | Path | None,
    cell: str | Cell | Program | None,
    overwrite: bool,
    language: str | None,
    say: Say,
    settings: Mapping[str, Any],
) -> Run:
    """Fit a task by its name and return the run; see ``conveyor.fit``."""
    entry = find(task)
    check_source(task, source)
    values = sources_of(entry.settings, source) | dict(settings)
    if isinstance(cell, str):
        values["cell"], cell = cell, None
    elif cell is not None:
        values["cell"] = program_of(cell).name
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="conveyor-")) / "run"
    try:
        fit_task(
            entry.task,
            source,
            entry.settings.of(values),
            folder,
            cell=cell,
            overwrite=overwrite,
            say=say,
            language=language,
        )
        run = Run(folder)
    except BaseException:
        if out is None:
            shutil.rmtree(folder.parent, ignore_errors=True)
        raise
    if out is None:
        weakref.finalize(run, shutil.rmtree, folder.parent, ignore_errors=True)
    return run


def resume_named(
    folder: Path, source: Any, *, language: str | None, say: Say, settings: Mapping[str, Any]
) -> Run:
    """Resume the fit in a folder and return the run; see ``conveyor.resume``."""
    begun_with, program = read_beginning(working_folder(folder, overwrite=False, resume=True))
    fit_task(
        find(begun_with.task).task,
        source,
        resumed_with(begun_with, settings),
        folder,
        cell=program,
        resume=True,
        say=say,
        language=language,
    )
    return Run(folder)
