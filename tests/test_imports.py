"""The arrow, in which folders may import each other, names of files, and light imports."""

import ast
import json
import pickle
import subprocess
import sys
from collections.abc import Container, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

import conveyor

PACKAGE = Path(conveyor.__file__).parent

# A folder may import any folder before it in this list, and itself; never one after it.
FOLDERS = (
    *("cells", "compiler", "kernels", "layers", "inspect", "data", "pages", "networks"),
    *("tasks", "training", "comparing", "searching", "inside", "serving", "cli"),
)
ANYONE = ("cache_folder", "errors", "version", "signals")

FILES = sorted(PACKAGE.rglob("*.py"))

# What a first import must not load: heavy, or not installed everywhere.
HEAVY = (
    "pytorch_lightning",
    "lightning",
    "plotly",
    "polars",
    "narwhals",
    "typer",
    "rich",
    "triton",
    "torchmetrics",
    "tomli_w",
    "optuna",
    "onnx",
    "onnxruntime",
    "pandas",
    "matplotlib",
)


def name_of(path: Path) -> str:
    """The file's path inside the package."""
    return path.relative_to(PACKAGE).as_posix()


@cache
def imported(path: Path) -> tuple[tuple[str, int], ...]:
    """Every module that a file imports, also inside functions, with its line.

    ``from conveyor import cells`` is conveyor.cells; ``from .a import b`` in conveyor/x/y.py is
    conveyor.x.a.
    """
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[tuple[str, int]]:
    package = ["conveyor", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            if module == "conveyor":
                for alias in node.names:
                    yield f"conveyor.{alias.name}", node.lineno
            else:
                yield module, node.lineno


def against_the_arrow(path: Path) -> list[str]:
    """What a file imports although its folder may not."""
    folder = path.relative_to(PACKAGE).parts[0]
    if folder not in FOLDERS:
        return []
    allowed = {*FOLDERS[: FOLDERS.index(folder) + 1], *ANYONE}
    return [
        f"line {line}: {module}"
        for module, line in imported(path)
        if module.split(".")[0] == "conveyor" and (*module.split("."), "")[1] not in allowed
    ]


def test_every_file_lies_in_a_folder_of_the_arrow() -> None:
    assert len(FILES) > 20
    beside = {p.relative_to(PACKAGE).parts[0] for p in FILES} - set(FOLDERS)
    assert beside == {"__init__.py", *(f"{name}.py" for name in ANYONE)}


def names_that_stand_twice(files: Iterable[Path]) -> set[str]:
    """Return the file names of more than one file; each package has its ``__init__.py``."""
    names = [path.name for path in files if path.name != "__init__.py"]
    return {name for name in names if names.count(name) > 1}


def test_no_file_name_stands_twice() -> None:
    """A reader who is told the name of a file finds one file."""
    assert names_that_stand_twice(FILES) == set()


def test_the_search_for_names_that_stand_twice_is_not_blind() -> None:
    paths = ["a/__init__.py", "b/__init__.py", "a/grid.py", "b/grid.py", "b/trace.py"]
    assert names_that_stand_twice(map(Path, paths)) == {"grid.py"}


def test_imports_follow_the_arrow() -> None:
    wrong = [f"{name_of(path)}, {each}" for path in FILES for each in against_the_arrow(path)]
    assert wrong == []


def outside(files: Iterable[Path], known: Container[str]) -> list[str]:
    """What files import of modules that are not among the known ones."""
    return [
        f"{name_of(path)}, line {line}: {module}"
        for path in files
        for module, line in imported(path)
        if module.split(".")[0] not in known
    ]


def test_what_anyone_may_import_imports_nobody() -> None:
    assert outside([PACKAGE / f"{name}.py" for name in ANYONE], sys.stdlib_module_names) == []


def test_cells_and_compiler_need_only_the_standard_library() -> None:
    files = [path for path in FILES if name_of(path).split("/")[0] in {"cells", "compiler"}]
    assert len(files) > 20
    assert outside(files, {"conveyor", *sys.stdlib_module_names}) == []


@pytest.mark.parametrize("library", ["llvmlite", "triton"])
def test_code_generators_are_imported_by_their_own_files_only(library: str) -> None:
    folder = PACKAGE / "kernels" / library.removesuffix("lite")
    for path in FILES:
        if any(module.split(".")[0] == library for module, _ in imported(path)):
            assert path.parent == folder, name_of(path)


def test_nobody_above_kernels_knows_a_target() -> None:
    """Layers ask kernels what they can do; only ``select`` knows which targets there are."""
    for folder in (PACKAGE / "kernels" / name for name in ("llvm", "native")):
        for path in FILES:
            if path.parent != folder and path != PACKAGE / "kernels" / "select.py":
                names = {module for module, _ in imported(path)}
                assert not [name for name in names if f"kernels.{folder.name}" in name], path


def test_the_arrow_is_not_blind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted import to the left, in each of its forms, is found."""
    wrong = tmp_path / "compiler" / "wrong.py"
    wrong.parent.mkdir()
    wrong.write_text(
        "import conveyor.layers.stack\n"
        "from conveyor import kernels\n"
        "from conveyor.cli.app import app\n"
        "from ..tasks import text\n"
        "from . import plan\n"
        "def f():\n"
        "    from conveyor.training import fit\n"
        "    import conveyor\n"
        "    from conveyor.cells import find\n"
        "    from conveyor import errors\n",
        encoding="utf-8",
    )
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    assert against_the_arrow(wrong) == [
        "line 1: conveyor.layers.stack",
        "line 2: conveyor.kernels",
        "line 3: conveyor.cli.app",
        "line 4: conveyor.tasks",
        "line 7: conveyor.training",
        "line 8: conveyor",
    ]


def test_import_conveyor_is_light() -> None:
    """torch itself may load what it likes; conveyor adds nothing heavy to it."""
    code = (
        "import json, sys, torch, numpy, safetensors\n"
        "without = set(sys.modules)\n"
        "import conveyor\n"
        "print(json.dumps(sorted(set(sys.modules) - without)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    added = json.loads(done.stdout)
    assert "conveyor" in added
    assert not {module.split(".")[0] for module in added} & set(HEAVY)
    assert "torch._dynamo" not in added
    assert "llvmlite" not in added
    # What names load is loaded when they are asked for: 0.3 s and more.
    ours = {module for module in added if module.startswith("conveyor.")}
    light = {"errors", "layers", "layers.exported", "layers.state", "signals", "version"}
    assert ours == {f"conveyor.{name}" for name in light}


ASKED_FOR = [
    "assert 'LSTM' in dir(conveyor) and 'cells' in dir(conveyor) and 'layers' in dir(conveyor)",
    "conveyor.cells.CELLS['lstm']",
    "conveyor.layers.drop_in.LSTM(2, 3)",
    "conveyor.layers.recurrent.Recurrent('gru', 2, 3)",
    "conveyor.kernels.llvm.share.share; conveyor.networks.Embedding; conveyor.tasks.run.Run",
    "conveyor.compiler.plan.plan; conveyor.data.files",
    "from conveyor import *; LSTM(2, 3); CELLS; cells; errors; fit; show",
    "torch.ops.conveyor.unroll; torch.ops.conveyor.unroll_backward",
    "assert not hasattr(conveyor, 'lstm') and not hasattr(conveyor.layers, 'lstm')",
    "import conveyor.layers; conveyor.layers.grid.GridLSTM",
]


def test_names_and_folders_can_be_asked_for_without_more(tmp_path: Path) -> None:
    """Each in a process in which nothing was asked for before; and what was saved before, too."""
    layer = conveyor.Recurrent("lstm", 2, 3)
    torch.save(layer, tmp_path / "layer.pt")
    (tmp_path / "layer.pickle").write_bytes(pickle.dumps((layer, layer.start(2))))
    lines = [
        *ASKED_FOR,
        f"torch.load({str(tmp_path / 'layer.pt')!r}, weights_only=False)(torch.zeros(4, 1, 2))",
        f"import pickle; pickle.load(open({str(tmp_path / 'layer.pickle')!r}, 'rb'))[1].h",
    ]
    # One process imports torch; a copy of it for each line imports conveyor.
    code = (
        "import json, os, sys, torch\n"
        "for line in json.loads(sys.argv[1]):\n"
        "    if os.fork() == 0:\n"
        "        try:\n"
        "            exec('import conveyor\\n' + line, {'torch': torch})\n"
        "        except BaseException as error:\n"
        "            print(f'{line}: {error!r}', flush=True)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "print('all tried')"
    )
    command = [sys.executable, "-c", code, json.dumps(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["all tried"]


def reads_environment(node: ast.AST) -> Iterator[int]:
    """The lines that touch the environment and run at import: not those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            runs_now = [*child.decorator_list, *child.args.defaults, *child.args.kw_defaults]
            for each in runs_now:
                if each is not None:
                    yield from reads_environment(ast.Expr(each))
            continue
        if isinstance(child, ast.Lambda):
            continue
        names = {"environ", "environb", "getenv", "getenvb"}
        if isinstance(child, ast.Attribute) and child.attr in names:
            yield child.lineno
        if isinstance(child, ast.ImportFrom) and child.module == "os":
            if names & {alias.name for alias in child.names}:
                yield child.lineno
            continue
        yield from reads_environment(child)


def test_no_environment_variable_is_read_at_import() -> None:
    lines = [
        f"{name_of(path)}, line {line}"
        for path in FILES
        for line in reads_environment(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert lines == []


def test_the_search_for_environment_variables_is_not_blind() -> None:
    text = (
        "import os\n"
        "FAST = os.environ.get('FAST')\n"
        "class A:\n"
        "    slow = os.getenv('SLOW')\n"
        "def f(a=os.environ['A']):\n"
        "    return os.environ['B']\n"
        "from os import environ\n"
    )
    assert sorted(reads_environment(ast.parse(text))) == [2, 4, 5, 7]
