"""No file of the package imports itself, over however many others; also where the import stands in
a function, for that is a circle too, only in hiding."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import conveyor

PACKAGE = Path(conveyor.__file__).parent


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a file, without those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if types and isinstance(node, ast.If) and isinstance(node.test, ast.Name):
            continue
        yield node
        yield from run_time_nodes(node)


def module_of(path: Path, package: Path) -> str:
    """Return the dotted name of a file."""
    parts = (package.name, *path.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """Return the files of the package that a file imports."""
    names: set[str] = set()
    for node in run_time_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                names.add(inside if inside in modules else node.module)
    return names & modules.keys()


def circles(package: Path) -> list[list[str]]:
    """Return the sets of files that import each other: strongly connected parts of more than one
    file (Tarjan 1972)."""
    modules = {module_of(path, package): path for path in package.rglob("*.py")}
    graph = {name: imports_of(path, modules) for name, path in modules.items()}
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    parts: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in number:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], number[other])
        if lowest[name] == number[name]:
            part = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(part) > 1 or name in graph[name]:
                parts.append(sorted(part))

    for name in sorted(graph):
        if name not in number:
            visit(name)
    return parts


def test_no_file_imports_itself_over_others() -> None:
    # The package's own __init__ gives names of it on request, and everything may be below it.
    assert [part for part in circles(PACKAGE) if "conveyor" not in part] == []


def test_circles_are_found_wherever_they_stand(tmp_path: Path) -> None:
    package = tmp_path / "planted"
    (package / "a").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "a/__init__.py": "",
        "a/one.py": "from planted.a.two import x\n",
        "a/two.py": "def f():\n    from planted.a import three\n",
        "a/three.py": "import planted.a.one\n",
        "a/four.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from planted.a.five import y\n",
        "a/five.py": "from planted.a.four import z\n",
    }
    for name, text in files.items():
        (package / name).write_text(text, encoding="utf-8")
    assert circles(package) == [["planted.a.one", "planted.a.three", "planted.a.two"]]
