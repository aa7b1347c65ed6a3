"""Write a graph as the Python source of a cell, which every command reads."""

import json
import re
from collections.abc import Sequence
from itertools import count
from typing import Any

from conveyor.cells.definition import Cell
from conveyor.cells.initial_value import Shared, Start
from conveyor.compiler.program import Program, number_text
from conveyor.compiler.trace import trace
from conveyor.searching.cell_graph import CellGraph, CellNode

# How operations are written, and how tightly they bind.
_BETWEEN = {"add": ("+", 1), "sub": ("-", 1), "mul": ("*", 2), "div": ("/", 2), "mod": ("%", 2)}
_PRODUCT, _NEGATIVE, _CALL = 2, 3, 9

# What a value without a name is called, by what it computes: a gate, a candidate, another value.
_CALLED = {"sigmoid": "g", "tanh": "n"}

# An unnamed value of more characters has a line to itself if it is used more than once, or at all.
_SHORT, _LONG = 12, 40

# Lists that would make a line longer stand one part a line.
_LINE = 100


class _Writer:
    """Writes the lines of one graph's body."""

    def __init__(self, graph: CellGraph) -> None:
        self.graph, self.uses = graph, graph.uses()
        self.families = _families(graph)
        self.input = next((node.name for node in graph.nodes if node.op == "input"), "x")
        self.letters = {self.input, *graph.states, *self.families}
        self.texts: dict[int, tuple[str, int]] = {}
        self.functions: set[str] = set()
        self.lines: list[tuple[str, str]] = []

    def body(self) -> tuple[list[str], int]:
        """Return the lines of the body, and how many values it returns."""
        graph = self.graph
        for place, node in enumerate(graph.nodes):
            text, binds = self._written(node)
            self.texts[place] = text, binds
            if node.arguments and (place in graph.roots or self._has_line(place, text)):
                name = self._free_name(node, place)
                self.lines.append((name, text))
                self.texts[place] = name, _CALL
        returned = [self.texts[place][0] for place in graph.new]
        if graph.output != graph.new[0]:
            returned.append(self.texts[graph.output][0])
        returned = self._with_letters(returned)
        lines = [f"{name} = {text}" for name, text in self.lines]
        moved = {
            state: text
            for state, text in zip(graph.states, returned, strict=False)
            if text in graph.states and text != state
        }
        if moved:
            lines.append(f"{', '.join(moved)} = {', '.join(moved.values())}")
        values = [
            state if state in moved else text
            for state, text in zip(graph.states, returned, strict=False)
        ]
        values += returned[len(graph.states) :]
        return [*lines, f"return {', '.join(values)}"], len(values)

    def _has_line(self, place: int, text: str) -> bool:
        """Return whether a value has a line to itself: gates, candidates, what has a name, and what
        is long and used more than once."""
        node = self.graph.nodes[place]
        if node.label or (node.op in _CALLED and len(text) > _SHORT):
            return True
        return len(text) > _LONG or (self.uses[place] > 1 and len(text) > _SHORT)

    def _free_name(self, node: CellNode, place: int) -> str:
        """Return a name that nothing has: a new state's, the node's own, or one by what it does."""
        if place in self.graph.new:
            stem = f"{self.graph.states[self.graph.new.index(place)]}_new"
            name = stem if stem not in self.letters else ""
        else:
            name = node.label if node.label not in self.letters else ""
        if not name:
            stem = _CALLED.get(node.op, "v")
            name = next(f"{stem}{n}" for n in count(1) if f"{stem}{n}" not in self.letters)
        self.letters.add(name)
        return name

    def _written(self, node: CellNode) -> tuple[str, int]:
        """Return the text of a node, and how tightly it binds."""
        parts = [self.texts[argument] for argument in node.arguments]
        if node.op == "constant":
            text = number_text(node.number)
            return text, _NEGATIVE if text.startswith("-") else _CALL
        if not parts:
            return node.name, _CALL
        if node.op == "product":
            return f"{node.name} @ {_inside(parts[0], _PRODUCT, right=True)}", _PRODUCT
        if node.op in _BETWEEN:
            sign, binds = _BETWEEN[node.op]
            left, right = parts
            return f"{_inside(left, binds)} {sign} {_inside(right, binds, right=True)}", binds
        if node.op == "neg":
            return f"-{_inside(parts[0], _NEGATIVE)}", _NEGATIVE
        self.functions.add(node.op)
        return f"{node.op}({', '.join(text for text, _ in parts)})", _CALL

    def _with_letters(self, returned: list[str]) -> list[str]:
        """Call new states by their letters, as papers do, where no line behind reads the old value;
        return the names of what is returned."""
        for state in self.graph.states:
            new = f"{state}_new"
            place = next((i for i, (name, _) in enumerate(self.lines) if name == new), None)
            behind = [] if place is None else [text for _, text in self.lines[place + 1 :]]
            if place is None or any(state in _names(text) for text in [*behind, *returned]):
                continue
            self.lines[place:] = [
                (state if name == new else name, _renamed(text, new, state))
                for name, text in self.lines[place:]
            ]
            returned = [state if text == new else text for text in returned]
        return returned


# Names in a line, with their gates.
_NAME = re.compile(r"[^\W\d]\w*(?:\.\w+)?")


def _names(text: str) -> set[str]:
    return set(_NAME.findall(text))


def _renamed(text: str, old: str, new: str) -> str:
    return _NAME.sub(lambda match: new if match[0] == old else match[0], text)


def _inside(part: tuple[str, int], binds: int, *, right: bool = False) -> str:
    text, tightness = part
    return f"({text})" if tightness < binds or (right and tightness == binds) else text


def _families(graph: CellGraph) -> dict[str, str]:
    """Return the letters of the parameters, and what each is declared as."""
    kinds = {"product": "Matrix", "vector": "Vector", "bias": "Bias"}
    return {
        node.name.partition(".")[0]: kind
        for op, kind in kinds.items()
        for node in graph.nodes
        if node.op == op
    }


def cell_source(graph: CellGraph, name: str, doc: str, source: str) -> str:
    """Return the source of a Python file that defines the cell.

    Args:
        graph: what it computes.
        name: of the function.
        doc: its docstring, one line or more.
        source: where it comes from.
    """
    writer = _Writer(graph)
    body, count_of_values = writer.body()
    letters = [f"{writer.input}: Input", *(f"{state}: State" for state in graph.states)]
    letters += [f"{letter}: {kind}" for letter, kind in writer.families.items()]
    values = ["Value"] * count_of_values
    result = values[0] if len(values) == 1 else f"tuple[{', '.join(values)}]"
    words = {"Input", "State", "Value", *writer.families.values(), *writer.functions, "cell"}
    if any(isinstance(value, Shared) for _, value in graph.start):
        words.add("Shared")
    given = [f"source={_quoted(source)}"]
    if graph.start:
        starts = (f"{_quoted(name)}: {_start(value)}" for name, value in graph.start)
        given.append(f"start={{{', '.join(starts)}}}")
    lines = [
        '"""A cell that a search over cells wrote."""',
        "",
        *_wrapped("from conveyor.cells import (", sorted(words, key=_import_order), ")"),
        "",
        "",
        *_wrapped("@cell(", given, ")"),
        *_wrapped(f"def {name}(", letters, f") -> {result}:"),
        f'    """{doc}"""',
        *(f"    {line}" for line in body),
        "",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Return a text as Python's, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _start(value: Start) -> str:
    return _quoted(value) if isinstance(value, str) else repr(value)


def _import_order(word: str) -> tuple[bool, str]:
    """Classes come before functions, as import sorters put them."""
    return word[0].islower(), word


def _wrapped(begin: str, parts: Sequence[str], end: str) -> list[str]:
    """Return a list in brackets in one line, or a part a line where it would be too long."""
    plain = begin.removesuffix("(") if begin.startswith("from") else begin
    one = f"{plain}{', '.join(parts)}{'' if begin.startswith('from') else end}"
    if len(one) <= _LINE:
        return [one]
    return [begin, *(f"    {part}," for part in parts), end]


def program_from_source(text: str, name: str) -> Program:
    """Return the program of the cell that a source of ``cell_source`` defines.

    Args:
        text: the source.
        name: of the cell.
    """
    names: dict[str, Any] = {}
    exec(compile(text, f"<{name}>", "exec"), names)  # what this file wrote
    defined: Cell = names[name]
    return trace(defined)
