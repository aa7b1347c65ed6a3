"""The files of a saved network: what is not saved, what does not load, and that nothing runs."""

import copy
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import conveyor
from conveyor import CELLS
from conveyor.data.text import Vocabulary
from conveyor.errors import RunError, SaveError, SettingError
from conveyor.networks import arguments
from conveyor.networks.readout import Readout
from conveyor.networks.stored import FORMAT
from conveyor.tasks import saved
from conveyor.tasks.text.language_model import LanguageModel
from tests.kinds import LONG
from tests.tasks.test_saved import variants
from tests.warm_python import run


def network() -> nn.ModuleDict:
    """One of each kind of module that is described in a way of its own."""
    shared = nn.Linear(3, 3)
    return nn.ModuleDict(
        {
            "linear": nn.Sequential(shared, nn.Tanh(), shared, nn.BatchNorm1d(3)),
            "convolution": nn.Conv1d(3, 3, 3, padding="same"),
            "normalised": nn.ModuleList([nn.LayerNorm((3, 2)), nn.AdaptiveAvgPool1d(2)]),
            "lstm": conveyor.LSTM(3, 4, proj_size=2),
            "recurrent": conveyor.Recurrent(
                "lstm_projected", 3, 4, 2, sizes={"P": 2}, zoneout={"c": 0.1}, clip={"c": 3.0},
                tied=True,
            ),
            "stacked": conveyor.Stacked(["gru", "rnn"], 3, [4, 5], around="highway"),
            "heads": conveyor.Heads("gru", 3, 4, 2),
            "clockwork": conveyor.Clockwork(3, 4, (1, 2)),
            "grid": conveyor.GridLSTM(3, 4, 2, dimensions=1),
            "readout": Readout("gru", 3, 4, 2, wanted="class", last=True),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of that network that no test changes."""
    folder = tmp_path_factory.mktemp("saved") / "network"
    conveyor.save(network(), folder)
    return folder


@pytest.fixture
def folder(saved_once: Path, tmp_path: Path) -> Path:
    """A folder of that network, for one test to change."""
    return shutil.copytree(saved_once, tmp_path / "network")


# What is not saved ---------------------------------------------------------------------------


class Mine(nn.Module):
    """Code of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Linear(2, 2)


class MyLinear(nn.Linear):
    """A subclass."""


class MyLSTM(conveyor.LSTM):
    """A subclass of ours."""


class MySequential(nn.Sequential):
    """A subclass of a container."""


def parametrised() -> nn.Module:
    """A layer with a weight that is computed."""
    module: nn.Module = parametrizations.weight_norm(nn.Linear(2, 2))
    return module


def parametrised_inside() -> nn.Module:
    """The same inside a layer of ours."""
    layer = conveyor.Recurrent("gru", 2, 3)
    parametrize.register_parametrization(layer.get_submodule("l0.U"), "r", nn.Tanh())
    return layer


def pruned() -> nn.Module:
    """A layer with a mask on its weight."""
    module: nn.Module = prune.l1_unstructured(nn.Linear(2, 2), "weight", 0.5)  # type: ignore[no-untyped-call]
    return module


def hooked(register: str) -> nn.Module:
    """A layer with a hook."""
    layer = conveyor.GRU(2, 3)
    getattr(layer, register)(lambda *given: None)
    return layer


def changed(module: nn.Module, change: Callable[[Any], object]) -> nn.Module:
    """A module that was changed by hand."""
    change(module)
    return module


def set_to(path: str, value: Any) -> Callable[[Any], None]:
    """A change of an attribute of a module inside."""

    def change(module: Any) -> None:
        owner, _, name = path.rpartition(".")
        setattr(module.get_submodule(owner), name, value)

    return change


def sharing() -> nn.Module:
    """Two parameters in one memory."""
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight.data = first.weight.data[:]
    return nn.Sequential(first, second)


def in_itself() -> nn.Module:
    """A container that holds itself."""
    network = nn.Sequential()
    network.append(network)
    return network


def deep(levels: int) -> nn.Module:
    """Containers in containers."""
    network: nn.Module = nn.Linear(2, 2)
    for _ in range(levels):
        network = nn.Sequential(network)
    return network


NAN = nn.Parameter(torch.full((2, 2), torch.nan))

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no module": (lambda: [1], r"the module is \[1\]; expected a torch.nn.Module"),
    "own class": (Mine, r"the module is a \S+\.Mine, whose code cannot be saved.*ModuleDict"),
    "own class inside": (lambda: nn.ModuleList([nn.ReLU(), nn.Sequential(Mine())]), r"^1\.0 is a"),
    "subclass": (lambda: nn.ModuleDict({"a": MyLinear(2, 2)}), r"^a is .* of torch.nn.Linear"),
    "subclass of ours": (lambda: MyLSTM(2, 2), r"MyLSTM, a subclass of conveyor.LSTM"),
    "subclass of a container": (lambda: MySequential(nn.ReLU()), r"MySequential, whose code"),
    "layer of torch": (lambda: nn.Sequential(nn.LSTM(2, 2)), r"0 is .*conveyor.replace\(model\)"),
    "not on the list": (lambda: nn.Sequential(nn.Conv3d(1, 1, 1)), r"^0 is a torch.*Conv3d"),
    "language model": (
        lambda: LanguageModel("gru", Vocabulary.of("ab"), hidden=2, embedding=3),
        r"LanguageModel, whose code",
    ),
    "None": (lambda: changed(nn.Sequential(), lambda m: m.add_module("a", None)), "a is None"),
    "parametrised": (
        lambda: nn.Sequential(parametrised()), r"^0 .*parametrised.*remove_parametrizations"
    ),
    "parametrised inside": (parametrised_inside, r"^l0\.U .*is parametrised"),
    "pruned": (pruned, r"the module \(Linear\) has forward pre hooks.*prune\.remove"),
    "own forward": (
        lambda: changed(nn.Tanh(), set_to("forward", torch.sin)), r"has a forward of its own"
    ),
    "one more parameter": (
        lambda: changed(nn.ReLU(), set_to("more", nn.Parameter(torch.ones(2)))),
        r"more is \[2\]; expected not there\. It was changed by hand",
    ),
    "one more buffer": (
        lambda: changed(
            nn.Linear(2, 2), lambda m: m.register_buffer("more", torch.ones(2), persistent=False)
        ),
        r"more is \[2\]; expected not there",
    ),
    "one more module": (
        lambda: changed(nn.Linear(2, 2), set_to("more", nn.Tanh())), r"more is Tanh; .* nothing"
    ),
    "another shape": (
        lambda: changed(nn.Linear(2, 2), set_to("weight", nn.Parameter(torch.ones(3, 2)))),
        r"weight is \[3, 2\]; expected \[2, 2\]",
    ),
    "an argument changed": (
        lambda: nn.Sequential(changed(nn.Dropout(), set_to("p", 5.0))), r"^0 .*cannot be made"
    ),
    "an argument that is no number": (
        lambda: nn.Sequential(nn.Hardtanh(0.0, float("inf"))), r"^0: max_val is inf; expected a fin"
    ),
    "another kind of layer inside": (
        lambda: changed(conveyor.Stacked("gru", 2, [3, 3]), set_to("each.1", conveyor.GRU(3, 3))),
        r"each\.1 is GRU; its class and arguments make nothing",
    ),
    "no layer inside": (
        lambda: changed(conveyor.Heads("gru", 2, 4, 2), set_to("each.0", nn.Tanh())),
        r"\(Heads\) is not what it was made as.*by hand",
    ),
    "another head": (
        lambda: nn.Sequential(
            changed(
                Readout("gru", 2, 3, 1, wanted="class", last=True),
                set_to("head", nn.Sequential(nn.Linear(3, 1))),
            )
        ),
        r"^0 \(Readout\) is not what it was made as",
    ),
    "no heads": (
        lambda: changed(conveyor.Heads("gru", 2, 4, 2), set_to("each", nn.ModuleList())),
        r"\(Heads\) is not what it was made as",
    ),
    "other heads": (
        lambda: changed(conveyor.Heads("gru", 2, 4, 2), set_to("each.1.dropout", 0.5)),
        r"dropout of its parts 0 and 1 are 0\.0 and 0\.5",
    ),
    "other modules of a clockwork": (
        lambda: changed(
            conveyor.Clockwork(2, 4, (1, 2)),
            set_to("modules_by_period.1", conveyor.Recurrent("lstm", 2, 2)),
        ),
        r"cell of its parts 0 and 1",
    ),
    "layers of a clockwork": (
        lambda: changed(
            conveyor.Clockwork(2, 4, (1,)), set_to("modules_by_period.0.weight_dropout", 0.5)
        ),
        r"modules_by_period\.0 has weight_dropout 0\.5; expected 0\.0",
    ),
    "not finite": (
        lambda: nn.Sequential(changed(nn.Linear(2, 2), set_to("weight", NAN))),
        r"^0\.weight holds what is no finite number",
    ),
    "no memory": (lambda: nn.Linear(2, 2, device="meta"), "weight has no memory"),
    "complex": (lambda: nn.Linear(2, 2, dtype=torch.complex64), r"is of torch\.complex64"),
    "sparse": (
        lambda: changed(
            nn.Linear(2, 2, False), set_to("weight", nn.Parameter(torch.eye(2).to_sparse()))
        ),
        "weight is laid out as torch.sparse_coo",
    ),
    "shared memory": (sharing, r"0\.weight and 1\.weight share memory"),
    "in itself": (in_itself, "stands more than 50 containers deep, or in itself"),
    "too deep": (lambda: deep(60), "stands more than 50 containers deep"),
}  # fmt: skip


HOOKS = (
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_state_dict_pre_hook",
    "register_load_state_dict_post_hook",
)


@pytest.mark.parametrize("register", HOOKS)
def test_hooks_are_not_saved(register: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^0 \(GRU\) has .* hooks, which are code.*remove\(\)"):
        conveyor.save(nn.Sequential(hooked(register)), tmp_path)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_saved_is_refused_by_name(name: str, tmp_path: Path) -> None:
    make, said = REFUSED[name]
    with pytest.raises(SettingError, match=said) as caught:
        conveyor.save(make(), tmp_path / "network")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "network").exists()


def test_as_deep_as_is_allowed(tmp_path: Path) -> None:
    for levels in range(45, 55):
        module = deep(levels)
        try:
            conveyor.save(module, tmp_path)
        except SettingError:
            assert levels > 49
        else:
            assert repr(conveyor.load(tmp_path)) == repr(module)


def test_a_network_of_too_many_modules_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arguments, "MOST_MODULES", 5)
    conveyor.save(nn.Sequential(*[nn.Tanh() for _ in range(4)]), tmp_path)
    with pytest.raises(SettingError, match="more than 5 modules"):
        conveyor.save(nn.Sequential(*[nn.Tanh() for _ in range(5)]), tmp_path)
    assert len(conveyor.load(tmp_path)) == 4


def test_the_model_of_a_run_is_not_replaced(tmp_path: Path) -> None:
    model = LanguageModel("gru", Vocabulary.of("ab"), hidden=2, embedding=3)
    saved.save(tmp_path, "text", model)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SaveError, match="did not write, such as that of a run"):
        conveyor.save(nn.Tanh(), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert isinstance(conveyor.load(tmp_path).model, LanguageModel)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="could not be written"):
        conveyor.save(nn.Tanh(), tmp_path / "file")


@pytest.mark.parametrize("at", [1, 2])
def test_a_full_disk_leaves_the_network_that_was_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The two files still belong together, whichever of the new ones was not written."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    sync, times = os.fsync, [0]

    def full(handle: int) -> None:
        times[0] += 1
        if times[0] == at:
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match="No space left"):
        conveyor.save(network(), folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    conveyor.load(folder)


def test_half_a_character_is_no_name(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="half a character"):
        conveyor.save(nn.ModuleDict({"\ud800": nn.Tanh()}), tmp_path / "network")
    assert not (tmp_path / "network").exists()


# What does not load --------------------------------------------------------------------------


def edited(folder: Path, edit: Callable[[Any], object]) -> None:
    """Change a description in place."""
    path = folder / "model.json"
    described = json.loads(path.read_text())
    edit(described)
    path.write_text(json.dumps(described))


def sealed(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Other weights, whose checksum is right."""
    path = folder / "model.safetensors"
    save_file(weights, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edited(folder, lambda described: described.update(weights_sha256=digest))


def refused(folder: Path, said: str = ".") -> None:
    """Loading raises one line of ours."""
    with pytest.raises(RunError, match=said) as caught:
        conveyor.load(folder)
    assert "\n" not in str(caught.value)
    # Where a class is none of those that are stored, they are listed.
    assert len(str(caught.value)) < 2500


def works(folder: Path) -> bool:
    """Whether a folder loads; if so, that the network has its numbers."""
    try:
        loaded = conveyor.load(folder)
    except RunError as error:
        if "\n" in str(error):
            raise
        return False
    loaded.to("cpu")
    assert all(each.isfinite().all() for each in loaded.state_dict().values())
    return True


def test_any_change_of_a_description_is_refused_or_harmless(folder: Path) -> None:
    """Some of all changes, drawn."""
    whole = json.loads((folder / "model.json").read_text())
    drawn = random.Random(0)
    found = {True: 0, False: 0}
    for key in whole:
        changes = list(variants(whole[key]))
        for change in drawn.sample(changes, min(len(changes), 25 if LONG else 12)):
            (folder / "model.json").write_text(json.dumps({**whole, key: change}))
            found[works(folder)] += 1
    assert found[False] > (60 if LONG else 30)
    assert found[True] > 0


def at(described: Any, *path: str | int) -> Any:
    """The description of a module inside."""
    node = described["module"]
    for name in path:
        node = dict(node["modules"])[name]
    return node


def argument(name: str, **values: Any) -> Callable[[Any], None]:
    """An edit of arguments of a module."""

    def edit(described: Any) -> None:
        at(described, name).update(values)

    return edit


HUGE = (2**60, 2**62, 2**63, 2**64, 10**400, -1, 0)


@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("lstm", "input_size"), ("lstm", "hidden_size"), ("lstm", "num_layers"),
        ("lstm", "proj_size"), ("recurrent", "input_size"), ("recurrent", "hidden_size"),
        ("recurrent", "num_layers"), ("recurrent", "cell"), ("convolution", "in_channels"),
        ("convolution", "kernel_size"), ("convolution", "groups"), ("heads", "heads"),
        ("clockwork", "hidden_size"), ("clockwork", "periods"), ("grid", "num_layers"),
        ("grid", "hidden_size"), ("grid", "dimensions"), ("readout", "outputs"),
    ],
)  # fmt: skip
def test_huge_sizes_are_refused_before_memory_is_asked_for(
    folder: Path, name: str, key: str, size: int
) -> None:
    value = [size] * 3 if key == "periods" else size
    edited(folder, argument(name, **{key: value}))
    if (key, size) == ("cell", 0):  # the one that it is
        conveyor.load(folder)
    else:
        refused(folder, "corrupt|belong together|more than|does not know")


def test_a_million_layers_are_refused_at_once(folder: Path) -> None:
    for name in ("lstm", "recurrent", "grid"):
        edited(folder, argument(name, num_layers=10**6))
        refused(folder, f"{name}: with it the network has more than 10,000 modules")
        edited(folder, argument(name, num_layers=1))
    edited(folder, lambda described: at(described, "heads").update(heads=10**6))
    refused(folder, "more than 10,000 modules")


def test_a_million_modules_are_refused_at_once(folder: Path) -> None:
    tanh = {"class": "torch.nn.Tanh"}
    inside = [[str(number), tanh] for number in range(10**5)]
    module = {"class": "torch.nn.Sequential", "modules": inside}
    edited(folder, lambda described: described.update(module=module))
    refused(folder, "more than 10,000 modules")


def test_a_cell_that_takes_long_to_plan_is_refused_in_numbers(folder: Path) -> None:
    edited(folder, lambda described: at(described, "recurrent").update(num_layers=9_000))
    refused(folder, "more than 200,000 operations")


@pytest.mark.parametrize("depth", [52, 300, 5_000, 200_000])
def test_deep_containers_are_refused(folder: Path, depth: int) -> None:
    before, after = '{"class": "torch.nn.Sequential", "modules": [["0", ', "]]}"
    text = before * depth + '{"class": "torch.nn.Tanh"}' + after * depth
    whole = json.loads((folder / "model.json").read_text()) | {"module": 0}
    (folder / "model.json").write_text(
        json.dumps(whole).replace('"module": 0', f'"module": {text}')
    )
    refused(folder, "containers deep" if depth < 1_000 else ".")


def test_deep_programs_are_refused(folder: Path) -> None:
    whole = json.loads((folder / "model.json").read_text())
    for depth in (2, 300):
        program = copy.deepcopy(whole["programs"][0])
        for _ in range(depth):
            program = {**whole["programs"][0], "format": 2, "above": program}
        (folder / "model.json").write_text(json.dumps({**whole, "programs": [program]}))
        refused(folder)


EDITS: dict[str, tuple[Callable[[Any], object], str]] = {
    "unknown key": (lambda d: d.update(more=1), "unknown key 'more'"),
    "unknown argument": (lambda d: at(d, "lstm").update(more=1), "lstm: unknown key 'more'"),
    "unknown argument of torch's": (
        lambda d: at(d, "convolution").update(device="cuda"), "convolution: unknown key 'device'"
    ),
    "missing argument": (lambda d: at(d, "heads").pop("heads"), "heads: heads is missing"),
    "unknown class": (
        lambda d: at(d, "lstm").update({"class": "conveyor.LSMT"}),
        "lstm is of the unknown class 'conveyor.LSMT'. Did you mean 'conveyor.LSTM'",
    ),
    "class to import": (
        lambda d: at(d, "lstm").update({"class": "os.system"}), "unknown class 'os.system'"
    ),
    "class that is none": (lambda d: at(d, "lstm").update({"class": ["a"]}), "unknown class"),
    "no class": (lambda d: at(d, "lstm").pop("class"), "unknown class None"),
    "no programs": (lambda d: d.update(programs=[]), "cell is 0; the file has 0 programs"),
    "programs that are none": (lambda d: d.update(programs={}), "programs is {}; expected a list"),
    "a program that is none": (lambda d: d["programs"].append(3), "this is not a program"),
    "text for a size": (lambda d: at(d, "lstm").update(hidden_size="4"), "hidden_size is '4'"),
    "number for a flag": (lambda d: at(d, "lstm").update(bias=1), "bias is 1; expected true or"),
    "not a number": (
        lambda d: at(d, "linear", "3").update(eps=float("nan")), "eps is nan; expected a finite"
    ),
    "itself": (lambda d: d.update(module={"same_as": ""}), "the module is the same as ''"),
    "same as a later one": (
        lambda d: d["module"]["modules"].insert(0, ["a", {"same_as": "linear.0"}]),
        "a is the same as 'linear.0', which is not before it",
    ),
    "same as itself from inside": (
        lambda d: at(d, "linear")["modules"].append(["4", {"same_as": "linear"}]), "not before it"
    ),
    "name twice": (
        lambda d: d["module"]["modules"].append(["lstm", {"class": "torch.nn.Tanh"}]),
        "holds 'lstm' twice",
    ),
    "name with a point": (
        lambda d: d["module"]["modules"].append(["a.b", {"class": "torch.nn.Tanh"}]), "corrupt"
    ),
    "name of a method": (
        lambda d: d["module"]["modules"].append(["forward", {"class": "torch.nn.Tanh"}]), "corrupt"
    ),
    "list without its numbers": (
        lambda d: at(d, "normalised")["modules"].reverse(), "module 0 of a list is called '1'"
    ),
    "layers that do not fit": (
        lambda d: at(d, "stacked")["layers"][1].update(input_size=9), "reads 9 features"
    ),
    "no layers": (lambda d: at(d, "stacked").update(layers=[]), "there are no layers"),
    "a layer of layers": (
        lambda d: at(d, "stacked")["layers"][1].update(num_layers=2), "num_layers of a layer is not"
    ),
    "a state that is none": (
        lambda d: at(d, "recurrent").update(clip={"x": 1.0}), "no state 'x'"
    ),
    "a tie to nothing": (lambda d: d["tied"].update({"linear.2.weight": "x"}), "does not fit"),
    "a tie too few": (lambda d: d["tied"].clear(), "nothing is said of it"),
    "a tie of other shapes": (
        lambda d: d["tied"].update({"linear.2.weight": "linear.0.bias"}), "does not fit"
    ),
    "a tie of a tie": (
        lambda d: d["tied"].update({"linear.2.weight": "linear.2.weight"}), "does not fit"
    ),
    "a tie of a buffer": (
        lambda d: d["tied"].update({"linear.2.bias": "linear.3.running_mean"}), "no parameter"
    ),
    "frozen that is none": (lambda d: d.update(frozen=["x"]), "'x' is not trained"),
    "a frozen buffer": (lambda d: d.update(frozen=["linear.3.running_mean"]), "no parameter"),
    "another type": (
        lambda d: d["weights"].update({"linear.0.weight": "float64"}), "do not belong together"
    ),
    "an unknown type": (
        lambda d: d["weights"].update({"linear.0.weight": "Storage"}), "which it cannot be"
    ),
    "a type for whole numbers": (
        lambda d: d["weights"].update({"linear.0.weight": "int64"}), "which it cannot be"
    ),
    "a weight too many": (lambda d: d["weights"].update(x="float32"), "the modules have none"),
    "a newer format": (lambda d: d.update(format=FORMAT + 1), "Install a newer conveyor"),
    "another checksum": (lambda d: d.update(weights_sha256="0"), "is not the file that"),
    "no module": (lambda d: d.update(module=None), "the module is None"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_a_wrong_description_is_refused(folder: Path, name: str) -> None:
    edit, said = EDITS[name]
    edited(folder, edit)
    refused(folder, said)


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "linear.0.weight"
    for wrong, said in (
        ({**weights, name: torch.ones(4, 3)}, r"linear.0.weight is \[4, 3\]"),
        ({**weights, name: weights[name].double()}, "linear.0.weight is .* of torch.float64"),
        ({**weights, "more": torch.ones(1)}, "holds more, which model.json does not know"),
        ({n: each for n, each in weights.items() if n != name}, "linear.0.weight is missing"),
        ({**weights, name: weights[name] * torch.nan}, "linear.0.weight holds what is no finite"),
        ({**weights, name: weights[name] / 0}, "no finite number"),
        ({**weights, name: weights[name].to(torch.float8_e5m2)}, "is of torch.float8_e5m2"),
        ({**weights, name: weights[name].to(torch.complex64)}, "is of torch.complex64"),
        ({}, "is missing"),
    ):
        sealed(folder, wrong)
        refused(folder, said)
    sealed(folder, weights)
    conveyor.load(folder)


def test_truncated_files_are_refused(folder: Path) -> None:
    for name in ("model.json", "model.safetensors"):
        whole = (folder / name).read_bytes()
        for length in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
            (folder / name).write_bytes(whole[:length])
            refused(folder, f"{name} is corrupt")
        (folder / name).write_bytes(whole + b"x")
        refused(folder, f"{name} is corrupt")
        (folder / name).unlink()
        refused(folder, f"holds no {name}")
        (folder / name).write_bytes(whole)
    conveyor.load(folder)


def test_weights_of_another_network_are_refused(folder: Path, tmp_path: Path) -> None:
    """Of the same shapes: the checksum tells."""
    conveyor.save(network(), tmp_path / "other")
    path = folder / "model.safetensors"
    path.write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    refused(folder, "is not the file that model.json was written with")


def test_a_command_says_that_a_network_has_no_task(folder: Path) -> None:
    with pytest.raises(RunError, match=r"which has no task. Use conveyor.load"):
        saved.load(folder)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "there is no such folder")
    refused(tmp_path, "holds no model.json")


# Nothing runs --------------------------------------------------------------------------------

OWN = """
import sys, torch, conveyor
from conveyor.cells import Bias, Input, Matrix, State, Value, cell, tanh
@cell
def my_own(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    h = tanh(W @ x + U @ h - b) * 0.75
    return h
torch.manual_seed(0)
net = torch.nn.Sequential(conveyor.Recurrent(my_own, 3, 4, zoneout=0.1)).eval()
conveyor.save(net, sys.argv[1])
torch.save(net[0](torch.ones(5, 2, 3))[0], sys.argv[2])
"""


def test_a_cell_of_ones_own_loads_where_its_code_is_not(tmp_path: Path) -> None:
    code, folder, wanted = tmp_path / "own.py", tmp_path / "network", tmp_path / "wanted.pt"
    code.write_text(OWN)
    ended = run(str(code), str(folder), str(wanted), folder=tmp_path)
    assert ended.code == 0, ended.err
    code.unlink()
    loaded = conveyor.load(folder)
    want = torch.load(wanted, weights_only=True)
    torch.testing.assert_close(loaded[0](torch.ones(5, 2, 3))[0], want, rtol=0, atol=0)
    assert "my_own" in repr(loaded)
    assert "my_own" not in CELLS


def test_neither_pickle_nor_imports_nor_code_are_used(tmp_path: Path) -> None:
    """In a process of its own: whatever unpickles, compiles or looks modules up there is told."""
    conveyor.save(network(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]
    json.loads((tmp_path / "model.json").read_text())
    watching = (
        "import sys, torch, conveyor, pickle\n"
        "conveyor.load(sys.argv[1])\n"  # what torch itself imports late is imported
        "loaded, said = set(sys.modules), []\n"
        "def watch(event, arguments):\n"
        "    if event in ('pickle.find_class', 'compile', 'exec', 'import', 'os.system',\n"
        "                 'subprocess.Popen', 'marshal.loads'):\n"
        "        said.append((event, arguments))\n"
        "sys.addaudithook(watch)\n"
        "conveyor.load(sys.argv[1])\n"
        "watching = [each for each in said if each[0] != 'import' or each[1][0] not in loaded]\n"
        "assert not watching, watching\n"
        "pickle.loads(pickle.dumps(conveyor.LSTM))\n"
        "assert said, 'the watch is blind'\n"
    )
    subprocess.run([sys.executable, "-c", watching, tmp_path], check=True)
