"""Several processes that fit one network: which of them speaks, and that their run is that of one
process.

They are started as people start them: by Lightning itself, by torchrun, and as SLURM does.
``CONVEYOR_LONG_TESTS=1`` starts them in more of these ways with each task.
"""

import json
import os
import re
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conveyor.errors import SettingError
from conveyor.tasks.settings import Training
from conveyor.tasks.task_registry import find
from conveyor.training import batches
from conveyor.training.batches import EpochShuffle, loaders, share_of
from conveyor.training.launch import Launch, launch, silence
from conveyor.training.processes import check_processes
from tests.series import write_series, write_verses
from tests.training.tiny_fits import parts
from tests.warm_python import Started

SCRIPT = """
import json, sys
import conveyor

folder, task, source, settings = sys.argv[1:]
try:
    if task == "resume":
        conveyor.resume(folder, source, **json.loads(settings))
    else:
        conveyor.fit(task, source, out=folder, **json.loads(settings))
except conveyor.errors.ConveyorError as error:
    sys.exit(f"error: {error}")
"""

# Two processes cannot share five series evenly, nor the one of an epoch's last batch at all: an
# epoch has eight times seven.
SERIES = 7
FORECAST: dict[str, Any] = {
    "target": "all",
    "members": 1,
    "horizon": 4,
    "history": 12,
    "season": 7,
    "hidden": 8,
    "batch": 5,
    "epochs": 3,
}
TEXT: dict[str, Any] = {"hidden": 16, "embedding": 8, "batch": 8, "chunk": 50, "epochs": 2}

LONG = os.environ.get("CONVEYOR_LONG_TESTS") == "1"

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4"}
SLURM = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "fit"}


@pytest.mark.parametrize(
    ("environment", "is_main", "is_first_here", "processes"),
    [
        ({}, True, True, None),
        # Lightning's own: this machine's first starts the others.
        ({"LOCAL_RANK": "0", "NODE_RANK": "0", "WORLD_SIZE": "2"}, True, True, None),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, False, False, None),
        ({"NODE_RANK": "1"}, False, True, None),
        ({"NODE_RANK": "1", "LOCAL_RANK": "1"}, False, False, None),
        # torchrun on two machines.
        (TORCHRUN | {"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}, True, True, 4),
        (TORCHRUN | {"RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0"}, False, False, 4),
        (TORCHRUN | {"RANK": "2", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False, True, 4),
        (TORCHRUN | {"RANK": "3", "LOCAL_RANK": "1", "GROUP_RANK": "1"}, False, False, 4),
        # srun on two machines.
        (SLURM | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, True, True, 4),
        (SLURM | {"SLURM_PROCID": "1", "SLURM_LOCALID": "1"}, False, False, 4),
        (SLURM | {"SLURM_PROCID": "2", "SLURM_LOCALID": "0"}, False, True, 4),
        # torchrun inside a job of SLURM, which has one task on each machine.
        (SLURM | TORCHRUN | {"SLURM_PROCID": "0", "RANK": "1", "LOCAL_RANK": "1"}, False, False, 4),
        # A shell of SLURM, and a job of one task: Lightning starts the others.
        (SLURM | {"SLURM_JOB_NAME": "bash", "SLURM_PROCID": "0"}, True, True, None),
        (SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, True, True, None),
        (
            SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "LOCAL_RANK": "1"},
            False,
            False,
            None,
        ),
    ],
)
def test_one_process_of_all_is_the_main_one(
    environment: Mapping[str, str], is_main: bool, is_first_here: bool, processes: int | None
) -> None:
    found = launch(environment)
    assert (found.is_main, found.is_first_here) == (is_main, is_first_here)
    assert found.processes == processes
    assert bool(found.by) == (processes is not None)


def _start(folder: Path, *words: str, **variables: str) -> Started:
    known = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "TORCHELASTIC_"))}
    for name in ("LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        known.pop(name, None)  # of an earlier fit in this process
    return Started(*words, folder=folder, environment=known | variables)


def _free_port() -> str:
    """A port that nobody has at the moment. The kernel gives each asker another one in turn, so
    those who ask side by side do not get the same."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def _run(script: Path, by: str, *words: str, task: str, **settings: Any) -> tuple[int, str, str]:
    """Run the script in one process, or in two that are started in some way."""
    if by != "one":
        settings["devices"] = 2
    command = (str(script), *words[:1], task, *words[1:], json.dumps(settings))
    if by == "torchrun":
        # Its processes are copies of the warm one, too, which run the script as Python would.
        begin = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--start-method", "fork")
        at = ("--master-addr", "127.0.0.1", "--master-port", _free_port())
        processes = [_start(script.parent, *begin, *at, "--run-path", *command)]
    elif by == "slurm":
        job = {
            "SLURM_NTASKS": "2",
            "SLURM_NTASKS_PER_NODE": "2",
            "SLURM_JOB_NAME": "fit",
            "SLURM_NODEID": "0",
        }
        job |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
        ranks = [{"SLURM_PROCID": rank, "SLURM_LOCALID": rank} for rank in ("0", "1")]
        processes = [_start(script.parent, *command, **job, **rank) for rank in ranks]
    else:
        processes = [_start(script.parent, *command)]
    try:
        ended = [process.ended() for process in processes]
    finally:
        for process in processes:
            process.kill()
    code = max(each.code for each in ended)
    return code, "".join(each.out for each in ended), "".join(each.err for each in ended)


@dataclass(frozen=True)
class Bench:
    """What the tests of whole fits share: a script that fits (Lightning runs it again for each
    further process), a file for each task, and the run of one process with what it said."""

    script: Path
    sources: dict[str, Path]
    alone: dict[str, tuple[Path, str]]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Fit each task in one process."""
    folder = tmp_path_factory.mktemp("bench")
    script = folder / "fit.py"
    script.write_text(SCRIPT)
    sources = {
        "forecast": write_several(folder / "series.csv"),
        "text": write_verses(folder / "verses.txt", times=20),
    }
    alone = {}
    for task, settings in (("forecast", FORECAST), ("text", TEXT)):
        words = (str(folder / task), str(sources[task]))
        code, out, err = _run(script, "one", *words, task=task, **settings)
        assert code == 0, err
        alone[task] = folder / task, out
    return Bench(script, sources, alone)


def write_several(path: Path) -> Path:
    """Write a table of several series that are each the first one, shifted."""
    lines = write_series(path, rows=133).read_text().splitlines()
    values = [line.split(",")[1] for line in lines[1:]]
    rows = [
        ",".join([line.split(",")[0], *(values[row - number] for number in range(SERIES))])
        for row, line in enumerate(lines[1:])
    ]
    names = ",".join(f"v{number}" for number in range(SERIES))
    path.write_text("\n".join([f"date,{names}", *rows]) + "\n")
    return path


def _numbers(value: Any) -> list[float]:
    """All numbers of what JSON gave, in order."""
    if isinstance(value, dict):
        return list(chain(*(_numbers(value[name]) for name in sorted(value))))
    if isinstance(value, list):
        return list(chain(*map(_numbers, value)))
    return [float(value)] if isinstance(value, int | float) else []


def _assert_same_run(folder: Path, other: Path) -> None:
    weights, others = (load_file(each / "model.safetensors") for each in (folder, other))
    torch.testing.assert_close(weights, others, rtol=0, atol=1e-5)
    found, wanted = (json.loads((each / "metrics.json").read_text()) for each in (folder, other))
    for each in (found, wanted):
        each["fit"].pop("seconds")
    assert found["fit"]["stopped"] == wanted["fit"]["stopped"]
    assert _numbers(found) == pytest.approx(_numbers(wanted), rel=1e-4, abs=1e-6)
    # Kept arrays are in a file that is named after them, to the last bit.
    files, others_files = (
        {re.sub("kept-[0-9a-f]+", "kept", str(path.relative_to(each))) for path in each.rglob("*")}
        for each in (folder, other)
    )
    assert files == others_files


def test_the_last_batch_is_one_stretch(bench: Bench) -> None:
    """Or the tests below would not see what becomes of it."""
    entry = find("forecast")
    settings = entry.settings.of(FORECAST)
    task = entry.task.prepare(bench.sources["forecast"], settings, silence)
    assert len(task.train) % settings.training.batch == 1


# Each start with one task and each task with one start; Lightning's own goes on with a text below.
STARTS = [("forecast", "torchrun"), ("text", "slurm")]
if LONG:
    STARTS += [("forecast", "lightning"), ("text", "torchrun")]


@pytest.mark.parametrize(("task", "by"), STARTS)
def test_two_processes_fit_what_one_does(task: str, by: str, bench: Bench, tmp_path: Path) -> None:
    settings = FORECAST if task == "forecast" else TEXT
    folder, words = tmp_path / "run", (str(tmp_path / "run"), str(bench.sources[task]))
    code, out, err = _run(bench.script, by, *words, task=task, **settings)
    assert code == 0, err
    assert "Traceback" not in err
    assert out.splitlines() == bench.alone[task][1].splitlines()  # said once
    _assert_same_run(folder, bench.alone[task][0])


def test_two_processes_go_on_as_one_does(bench: Bench, tmp_path: Path) -> None:
    begun, source = bench.alone["text"][0], str(bench.sources["text"])
    for processes in ("one", "lightning"):
        folder = shutil.copytree(begun, tmp_path / processes)
        words = (str(folder), source)
        code, out, err = _run(bench.script, processes, *words, task="resume", epochs=3)
        assert code == 0, err
        assert out.count("going on after epoch 2") == 1
    _assert_same_run(tmp_path / "lightning", tmp_path / "one")


def test_what_is_wrong_before_training_ends_all(bench: Bench, tmp_path: Path) -> None:
    words = (str(tmp_path / "run"), str(tmp_path / "missing.csv"))
    code, out, err = _run(bench.script, "lightning", *words, task="forecast", **FORECAST)
    assert code != 0
    assert out == ""
    assert err.count("error:") == 1
    assert not (tmp_path / "run").exists()
    assert all(
        each[0] for each in [_run(bench.script, "slurm", *words, task="forecast", **FORECAST)]
    )
    assert not (tmp_path / "run").exists()


def _started(
    monkeypatch: pytest.MonkeyPatch, by: str, processes: int | None, on_each: int | None = None
) -> None:
    started = Launch(by, processes, on_each, is_main=True, is_first_here=True)
    monkeypatch.setattr("conveyor.training.processes.launch", lambda: started)


def test_settings_must_have_as_many_processes_as_were_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _started(monkeypatch, "torchrun", 4, 2)
    check_processes(Training(devices=2, nodes=2), in_order=True)
    for devices, nodes in ((1, 1), (2, 1), (4, 1), (4, 2)):
        with pytest.raises(SettingError, match=r"torchrun started 4 processes, 2 on each machine"):
            check_processes(Training(devices=devices, nodes=nodes), in_order=True)
    _started(monkeypatch, "SLURM", 4)
    with pytest.raises(SettingError, match=r"Give it --ntasks-per-node"):
        check_processes(Training(devices=4), in_order=True)


def test_a_batch_must_be_enough_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    _started(monkeypatch, "", None)
    with pytest.raises(SettingError, match=r"batch is 30, and 4 processes .* batch=32"):
        check_processes(Training(batch=30, devices=2, nodes=2), in_order=True)
    check_processes(Training(batch=30, devices=4), in_order=False)
    with pytest.raises(SettingError, match="batch is 3, and 4 processes"):
        check_processes(Training(batch=3, devices=4), in_order=False)


def test_shares_are_the_whole_batch() -> None:
    batch = [5, 3, 8, 1, 9]
    shares = [share_of(batch, number, 3) for number in range(3)]
    assert sorted(chain(*(each.batch for each in shares))) == sorted(batch)
    assert [each.copies for each in shares] == [1, 1, 1]
    assert max(len(each.batch) for each in shares) - min(len(each.batch) for each in shares) <= 1
    assert [share_of([5, 3], number, 3) for number in range(3)] == [([5, 3], 3)] * 3


def test_every_process_has_its_own_streams_of_every_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chunks = [(torch.arange(8.0).view(2, 4) + 10 * k, torch.ones(2, 4)) for k in range(3)]
    odd = [(torch.arange(6.0).view(2, 3), torch.ones(2, 3))]
    own: list[list[torch.Tensor]] = []
    for process in range(2):
        monkeypatch.setattr(batches, "rank_of_this", lambda count, process=process: process)
        train, validation = loaders(parts(chunks, odd, in_order=True), Training(batch=4, devices=2))
        own.append([share.batch[0] for share in train])
        assert [share.copies for share in train] == [1, 1, 1]
        ((whole, copies),) = validation  # three streams cannot be halved: each reads all
        torch.testing.assert_close(whole, list(odd[0]))
        assert copies == 2
    for number, (read, _) in enumerate(chunks):
        torch.testing.assert_close(torch.cat([each[number] for each in own], 1), read)


def test_every_process_has_its_own_examples_of_every_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Training(batch=4, devices=2, seed=3)
    seen: list[list[list[int]]] = []
    for process in range(2):
        monkeypatch.setattr(batches, "rank_of_this", lambda count, process=process: process)
        train, _ = loaders(parts(range(9), range(3), in_order=False), settings)
        train.sampler.set_epoch(5)  # type: ignore[attr-defined]  # as Lightning does
        seen.append([share.batch.tolist() for share in train])
    order = EpochShuffle(9, 3)
    order.set_epoch(5)
    numbers = list(order)
    first, second = seen
    assert [sorted(a + b) for a, b in zip(first[:2], second[:2], strict=True)] == [
        sorted(numbers[:4]),
        sorted(numbers[4:8]),
    ]
    assert first[2] == second[2] == numbers[8:]
