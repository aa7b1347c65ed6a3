"""Defining a cell: its function is run once, on symbols. A wrong cell raises an error with the
user's line, a caret, what was expected, what was got and how to fix it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import get_annotations, signature
from itertools import count, pairwise
from types import FunctionType
from typing import Annotated, Any, cast, get_args, get_origin, overload

from conveyor.cells.blocks import Blocks, is_number_of_blocks
from conveyor.cells.excerpt import Place, place_of_frame, place_of_traceback
from conveyor.cells.initial_value import BEFORE_THE_FIRST_STEP, GATES, Start, is_start
from conveyor.cells.language import (
    FUNCTIONS,
    Bias,
    Body,
    Constant,
    Family,
    Input,
    Kind,
    Last,
    Leaf,
    Matrix,
    Memory,
    Node,
    State,
    Step,
    Value,
    Vector,
    raise_error,
    running,
)
from conveyor.cells.operations import spell
from conveyor.errors import CellError, did_you_mean


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell as it was defined: its letters and the values that its body computed.

    ``start`` are start values of parameters and states that do not start at the usual ones, see
    ``cell``. ``aliases`` are other names that it is found by. ``keep`` names
    the biases that set how long the cell remembers, with +1 where a larger bias remembers
    longer and -1 where it takes in more; chrono initialisation uses it.
    """

    name: str
    doc: str
    source: str
    start: Mapping[str, Start]
    keep: Mapping[str, int]
    leaves: tuple[Node, ...]
    new_states: Mapping[str, Node]
    outputs: tuple[str, ...]
    locals: Mapping[str, Node]
    place: Place = field(repr=False)
    aliases: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<cell {self.name}>"


# What each declaration is, and its axes unless it says so; a step is one number.
_KINDS: dict[object, tuple[Kind, tuple[str, ...]]] = {
    Input: ("input", ("I",)),
    State: ("state", ("H",)),
    Memory: ("memory", ("L", "D")),
    Step: ("state", ()),
    Matrix: ("matrix", ("H",)),
    Bias: ("bias", ("H",)),
    Vector: ("vector", ("H",)),
    Constant: ("constant", ("H",)),
}

Equations = Callable[..., Any]


def _declare(name: str, annotation: object, place: Place) -> Leaf:
    more: list[object] = []
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
    if not isinstance(annotation, type) or annotation not in _KINDS:
        raise_error(
            f"the letter {name} is declared as {annotation!r}.",
            "Declare it as Input, State, Memory, Step, Matrix, Bias, Vector or Constant, as in "
            f"{name}: Matrix.",
            place,
        )
    if name.startswith("_"):
        raise_error(f"the letter {name} begins with _.", "Begin it with a letter.", place)
    kind, usual = _KINDS[annotation]
    if not usual:
        if more:
            raise_error(f"{name} has the width {more[0]!r}.", "A Step is one number.", place)
        return cast(Leaf, annotation(name, kind, ()))
    widths = [each for each in more if not isinstance(each, Last | Blocks)]
    for width in widths:
        if not (isinstance(width, str) and width.isidentifier()):
            raise_error(
                f"{name} has the width {width!r}.", "A width is a letter: 'H' or 'P'.", place
            )
    axes = cast(tuple[str, ...], tuple(widths)) or usual
    if len(axes) > (2 if kind in ("matrix", "memory") else 1) or len(axes) < len(usual):
        raise_error(
            f"{name} has the widths {', '.join(map(repr, axes))}.",
            "A Matrix has rows and columns, as in Annotated[Matrix, 'H', 'J'], a Memory places and "
            "a width, as in Annotated[Memory, 'L', 'D']; all else has one width.",
            place,
        )
    leaf = cast(Leaf, annotation(name, kind, axes))
    if isinstance(leaf, Matrix):
        leaf._declared = len(axes) > 1
    for each in more:
        if isinstance(each, Last):
            _keep_last(leaf, each, place)
        elif isinstance(each, Blocks):
            _make_of_blocks(leaf, each, place)
    return leaf


def _make_of_blocks(leaf: Leaf, blocks: Blocks, place: Place) -> None:
    """Let a matrix be made of blocks.

    Raises:
        CellError: the letter is no matrix, or there is no such number of blocks.
    """
    if leaf._node.kind != "matrix" or not is_number_of_blocks(blocks.number):
        raise_error(
            f"{leaf._node} is made of {blocks.number!r} blocks.",
            "A Matrix is made of a whole number of blocks, or of as many as a letter's size says, "
            "as in U: Annotated[Matrix, Blocks('N')].",
            place,
        )
    leaf._node.blocks = blocks


def _keep_last(leaf: Leaf, last: Last, place: Place) -> None:
    """Let a state keep its last values: the value of k steps before is a state called ``h_k``.

    Raises:
        CellError: the letter is no state, or there is no such number of values.
    """
    node, steps = leaf._node, last.steps
    if node.kind != "state" or isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise_error(
            f"{node} keeps the last {steps!r}.",
            f"A state keeps the last 2 or more, as in {node.name}: Annotated[State, Last(2)].",
            place,
        )
    leaf._past = tuple(
        type(leaf)(f"{node.name}_{number}", "state", node.axes) for number in range(2, steps + 1)
    )


def _is_step(leaf: Leaf) -> bool:
    return leaf._node.kind == "state" and not leaf._node.axes


def _counted(step: Leaf) -> Value:
    """The number of this step, of the number of the one before."""
    number = step + 1
    number._node.name = step._node.name
    return number


def _leaves_of(equations: Equations, place: Place) -> list[Leaf]:
    """The letters that the function declares."""
    name = equations.__name__
    try:
        annotations = get_annotations(equations, eval_str=True)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise_error(f"{name}: {error}.", "Import it from conveyor.cells.", place)
    leaves = []
    for letter, parameter in signature(equations).parameters.items():
        if parameter.kind != parameter.POSITIONAL_OR_KEYWORD:
            raise_error(
                f"{name}: {parameter} is no plain argument.",
                "Write letters one after the other, without * and /.",
                place,
            )
        leaves.append(_declare(letter, annotations.get(letter, "nothing"), place))
    _check_places(name, [leaf._node for leaf in leaves], place)
    kinds = {leaf._node.kind for leaf in leaves if not _is_step(leaf)}
    if not {"state", "input"} <= kinds:
        raise_error(
            f"{name} has no {'State' if 'state' not in kinds else 'Input'}.",
            "A cell needs both, as in x: Input, h: State.",
            place,
        )
    return leaves


def _check_places(name: str, nodes: list[Node], place: Place) -> None:
    """Refuse a letter that is as wide as a memory has places, which no layer knows.

    Raises:
        CellError: there is one.
    """
    for axis in (node.axes[0] for node in nodes if node.kind == "memory"):
        for node in nodes:
            widths = node.axes[1:] if node.kind == "memory" else node.axes
            if axis in widths:
                raise_error(
                    f"{name}: {node}, and {axis} is how many places a memory has, which differs "
                    "from call to call.",
                    f"Give {node.name} another width, or the memory other letters, as in "
                    "Annotated[Memory, 'L', 'D'].",
                    place,
                )


def _run(equations: Equations, letters: Sequence[Value], body: Body) -> object:
    """Run the body once, on what its letters stand for. Whatever goes wrong in it becomes a
    CellError with the user's line."""
    try:
        with running(body):
            return equations(*letters)
    except CellError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever a user's line raises)
        traceback = error.__traceback__
        place = None
        while traceback is not None:
            if traceback.tb_frame.f_code is body.code:
                place = place_of_traceback(traceback)
            traceback = traceback.tb_next
        if isinstance(error, NameError) and error.name:
            known = {*body.code.co_varnames, *FUNCTIONS}
            remedy = did_you_mean(error.name, known - {error.name})
            if error.name in FUNCTIONS:
                remedy = f"Import it: from conveyor.cells import {error.name}"
            raise_error(f"{error.name} is not defined.", remedy, place)
        raise_error(
            f"{type(error).__name__}: {error}.",
            "Equations are made of + - * / % @ and the functions "
            f"{', '.join(FUNCTIONS)}, of numbers and of declared letters.",
            place,
        )


def _new_states(
    name: str, states: list[Node], returned: object, found: Mapping[str, object], place: Place
) -> tuple[dict[str, Node], tuple[Node, ...]]:
    """Split what the body returned into the new states and what comes out besides them."""
    values = returned if isinstance(returned, tuple) else (returned,)
    wanted = ", ".join(state.name for state in states)
    remedy = f"End the body with: return {wanted}"
    called: dict[int, set[str]] = {}
    for local, value in found.items():
        called.setdefault(id(value), set()).add(local)
    if returned is None or len(values) < len(states):
        there = set().union(*(called.get(id(value), set()) for value in values))
        missing = [state.name for state in states if state.name not in there or returned is None]
        missing = missing or [states[-1].name]
        raise_error(
            f"{name}: state {missing[0]} is not returned; the states are {wanted}.", remedy, place
        )
    nodes = []
    for value in values:
        if not isinstance(value, Value) or isinstance(value, Matrix):
            raise_error(
                f"{name}: something else is returned; the states are {wanted}.", remedy, place
            )
        nodes.append(value._node)
    letters = {state.name for state in states}
    for state, value, node in zip(states, values, nodes, strict=False):
        others = called.get(id(value), set()) & letters
        if others and state.name not in others:
            other = min(others)
            raise_error(f"{name}: {other} is returned where {state.name} belongs.", remedy, place)
        if node.axes != state.axes:
            raise_error(
                f"{name}: state {state.name} is {spell(state.axes)}, "
                f"its new value is {spell(node.axes)}: the widths cannot agree.",
                f"Declare the width, as in {state.name}: Annotated[State, 'P'], or project it.",
                place,
            )
    new = {state.name: node for state, node in zip(states, nodes, strict=False)}
    return new, tuple(nodes[len(states) :])


def _name_outputs(
    name: str,
    extra: tuple[Node, ...],
    local: dict[str, Node],
    new: Mapping[str, Node],
    place: Place,
) -> tuple[str, ...]:
    """Names for what is returned behind the states: its local name, or output0, output1, ..."""
    outputs: list[str] = []
    for number, node in enumerate(extra):
        names = [n for n, value in local.items() if value is node and new.get(n, node) is node]
        free = next(n for n in (f"output{k}" for k in count(number)) if n not in local)
        outputs.append(names[0] if names else free)
        local[outputs[-1]] = node
    if len(set(outputs)) < len(outputs):
        raise_error(f"{name}: one output is returned twice.", "Return each value once.", place)
    return tuple(outputs)


def _check_names(name: str, past: Sequence[tuple[Leaf, ...]], place: Place) -> None:
    """Refuse a letter that is called as a state's last values are."""
    letters = [leaf._node.name for one in past for leaf in one]
    twice = next((letter for letter in letters if letters.count(letter) > 1), None)
    if twice is not None:
        raise_error(
            f"{name}: {twice} is a letter, and what a state's last values are called.",
            "Choose another letter.",
            place,
        )


def _check_own(name: str, nodes: list[Node], own: list[Leaf], place: Place) -> None:
    """Refuse values of another cell, and a letter that is used alone and with gates."""
    letters = {id(leaf._node): leaf for leaf in own}
    gates = {id(g._node) for leaf in own if isinstance(leaf, Family) for g in leaf._gates.values()}
    for node in reachable(nodes):
        if node.kind and id(node) not in letters and id(node) not in gates:
            raise_error(
                f"{name}: {node} belongs to another cell.",
                "Use only the letters that this cell declares.",
                place,
            )
        leaf = letters.get(id(node))
        if isinstance(leaf, Family) and leaf._gates:
            raise_error(
                f"{name}: {node.name} is used alone and with gates.",
                f"Give it a gate everywhere, as in {node.name}.{next(iter(leaf._gates))}.",
                place,
            )


def _check_memories_are_read(
    name: str, nodes: list[Node], leaves: list[Leaf], place: Place
) -> None:
    """Refuse a memory that no equation reads, which every call would have to be given.

    Raises:
        CellError: there is one.
    """
    read = {id(node) for node in reachable(nodes)}
    for node in (leaf._node for leaf in leaves):
        if node.kind == "memory" and id(node) not in read:
            raise_error(
                f"{name}: no equation reads {node.name}, a memory {spell(node.axes)}.",
                f"Look at it, as in softmax(total(v * tanh(U @ {node.name}))) @ {node.name}, or "
                "leave it out.",
                place,
            )


def _check_start(
    name: str,
    start: Mapping[str, Start],
    keep: Mapping[str, int],
    nodes: list[Node],
    place: Place,
) -> None:
    """Start values are for states and for biases, vectors and constants that are used; keep holds
    signs of biases."""
    kinds = ("bias", "vector", "constant", "state")
    used = {node.name: node for node in reachable(nodes) if node.kind in kinds and node.axes}
    for key in [*start, *keep]:
        if key not in used:
            raise_error(
                f"{name}: start or keep names {key}.",
                did_you_mean(key, used) if used else "No bias, vector or constant is used.",
                place,
            )
    for key, value in start.items():
        if not is_start(value) or (
            used[key].kind == "state" and not isinstance(value, int | float)
        ):
            raise_error(
                f"{name}: {key} starts at {value!r}.",
                "Give a number; for a bias, a vector or a constant also (low, high), numbers drawn "
                f"uniformly from there, {GATES!r}, numbers whose sigmoid is uniform, or "
                "Shared((1, 2)), numbers that the units share.",
                place,
            )
    for key, sign in keep.items():
        if sign not in (1, -1) or used[key].kind != "bias":
            raise_error(
                f"{name}: keep says {sign!r} of {key}.",
                "Say +1 of a bias that makes the cell remember longer, -1 of one that makes it "
                "take in more.",
                place,
            )


def reachable(roots: Iterable[Node]) -> list[Node]:
    """Everything the roots are made of, themselves too, in the order in which it was written."""
    found: dict[int, Node] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found[id(node)] = node
            waiting.extend(node.arguments)
    return sorted(found.values(), key=lambda node: node.order)


@overload
def cell(equations: Equations, /) -> Cell: ...
@overload
def cell(
    *,
    source: str = "",
    start: Mapping[str, Start] | None = None,
    keep: Mapping[str, int] | None = None,
    aliases: tuple[str, ...] = (),
) -> Callable[[Equations], Cell]: ...
def cell(
    equations: Equations | None = None,
    /,
    *,
    source: str = "",
    start: Mapping[str, Start] | None = None,
    keep: Mapping[str, int] | None = None,
    aliases: tuple[str, ...] = (),
) -> Cell | Callable[[Equations], Cell]:
    """Make a cell of a function whose body is the cell's equations.

    Args:
        equations: the function, where this is used without brackets: ``@cell``.
        source: the paper, for documentation.
        start: start values of single biases, vectors, constants and states, as in
            ``{"b.f": 1.0}``. Of all but states also ``(low, high)``: each number drawn uniformly
            from there; ``"gates"``: so that its sigmoid is uniform in 1/H to 1 - 1/H; or
            ``Shared((1, 2, 4))``: numbers that the units share.
        keep: see ``Cell``.
        aliases: other names that the cell is found by.

    The function returns the new states in the order of their declaration, then, if it has
    more to say than its first state, the values that are the layer's output.

    Raises:
        CellError: with the line, a caret, what was expected, what was got and how to fix it.
    """

    def define(equations: Equations) -> Cell:
        if not isinstance(equations, FunctionType):
            raise_error(
                f"{equations!r} is no function of equations.",
                "Write @cell or @cell(source='...') above a function.",
            )
        name, code = equations.__name__, equations.__code__
        place = Place(code.co_filename, code.co_firstlineno, None, None)
        leaves = _leaves_of(equations, place)
        steps = {leaf._node.name: _counted(leaf) for leaf in leaves if _is_step(leaf)}
        states = [leaf._node for leaf in leaves if leaf._node.kind == "state" and leaf._node.axes]
        body = Body(code)
        # A step's letter stands for its new value, which no body has to write.
        letters = [steps.get(leaf._node.name, leaf) for leaf in leaves]
        returned = _run(equations, letters, body)
        past = [(leaf, *leaf._past) for leaf in leaves]
        _check_names(name, past, place)
        leaves = [*leaves, *(each for one in past for each in one[1:])]
        # A frame keeps its names, and where it returned, after it is over.
        found = dict(body.frame.f_locals) if body.frame else {}
        ended = place_of_frame(body.frame) if body.frame else place
        body.frame = None
        new, extra = _new_states(name, states, returned, found, ended)
        for one in past:
            new |= {later._node.name: before._node for before, later in pairwise(one)}
        new |= {letter: value._node for letter, value in steps.items()}
        local = {
            letter: value._node
            for letter, value in found.items()
            if isinstance(value, Value)
            and value._node.kind in (None, "input", "state", "memory")
            and value._node.name != letter
        }
        outputs = _name_outputs(name, extra, local, new, ended)
        nodes = [*new.values(), *extra, *local.values()]
        _check_own(name, nodes, leaves, place)
        _check_memories_are_read(name, nodes, leaves, place)
        _check_start(name, start or {}, keep or {}, nodes, place)
        # All values of before the first step are the same, unless the cell says otherwise.
        starts = dict(start or {})
        for one in past:
            if one[0]._node.name in starts:
                for each in one[1:]:
                    starts.setdefault(each._node.name, starts[one[0]._node.name])
        parameters: list[Node] = []
        # What counts steps comes after the states that the body writes.
        for leaf in sorted(leaves, key=_is_step):
            gates = leaf._gates.values() if isinstance(leaf, Family) else ()
            parameters += [leaf._node, *(gate._node for gate in gates)]
        return Cell(
            name,
            (equations.__doc__ or "").strip(),
            source,
            {**starts, **dict.fromkeys(steps, BEFORE_THE_FIRST_STEP)},
            dict(keep or {}),
            tuple(parameters),
            new,
            outputs,
            local,
            place,
            aliases,
        )

    return define(equations) if equations is not None else define
