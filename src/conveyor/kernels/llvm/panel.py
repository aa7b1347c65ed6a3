"""The inner loops of all products, shared by all cells: one module per machine and type.

A panel is a product of a few rows with a few vectors of packed weights, all sums in registers:

    for k: for row: c[row, v] += a[row, k] * b[k, v]        v = 1..V vectors, row = 1..R

Every sum is added up in the order of k by one register, whatever R and V are. So it has the same
bits however rows and units are shared out to threads.
"""

from functools import cache

from llvmlite import ir

from conveyor.kernels.llvm.builder import INT, POINTER, Code, Module
from conveyor.kernels.llvm.machine import Machine

# A panel of one row needs this many sums at once to hide that an addition takes four cycles, two
# of which begin in each (AMD Zen 5, Intel since Skylake: Agner Fog, Instruction tables).
MOST_VECTORS = 8
# More rows gain nothing: 8 rows of 3 vectors load 11 registers for 24 multiply-adds.
MOST_ROWS = 8
# So many rows at a time are summed into gradients of weights: their slice of one panel,
# 256 rows of 4 vectors of 64 bytes, stays in the second-level cache and half of it in the first.
ROWS_AT_ONCE = 256

PANEL_ARGUMENTS = (
    ("a", POINTER),
    ("a_row", INT),
    ("a_k", INT),
    ("segments", INT),
    ("a_segment", INT),
    ("count", INT),
    ("b", POINTER),
    ("b_k", INT),
    ("c", POINTER),
    ("c_row", INT),
    ("more", INT),
)
PANEL_TYPE = ir.FunctionType(ir.VoidType(), [kind for _, kind in PANEL_ARGUMENTS])


def most_rows(vectors: int, machine: Machine) -> int:
    """How many rows a panel of so many vectors can have: its sums, one row of weights and one
    number of ``a`` must find place in registers."""
    return max(1, min(MOST_ROWS, (machine.registers - 1 - vectors) // vectors))


@cache
def best_vectors(machine: Machine) -> int:
    """How many vectors a panel of many rows has: most multiply-adds for each load."""

    def use(vectors: int) -> float:
        rows = most_rows(vectors, machine)
        return rows * vectors / (rows + vectors)

    return max(range(1, MOST_VECTORS + 1), key=use)


def panel_name(vectors: int, rows: int) -> str:
    """The function for so many vectors and rows."""
    return f"panel_{vectors}_{rows}"


def table_index(vectors: int, rows: int) -> int:
    """Where the table of addresses holds a panel."""
    return vectors * (MOST_ROWS + 1) + rows


TABLE_SIZE = table_index(MOST_VECTORS, MOST_ROWS) + 1


def panels(machine: Machine) -> list[tuple[int, int]]:
    """The vectors and rows of all panels."""
    return [
        (vectors, rows)
        for vectors in range(1, MOST_VECTORS + 1)
        for rows in range(1, most_rows(vectors, machine) + 1)
    ]


def _panel(module: Module, vectors: int, rows: int) -> None:
    code = Code(module, panel_name(vectors, rows), PANEL_ARGUMENTS)
    own = code.arguments
    lanes = module.lanes
    again = code.compare("!=", own["more"], 0)
    places = [
        [code.at(own["c"], code.add(code.mul(own["c_row"], r), v * lanes)) for v in range(vectors)]
        for r in range(rows)
    ]
    sums = [[code.variable(code.number(0.0)) for _ in range(vectors)] for _ in range(rows)]
    with code.when(again):
        for r in range(rows):
            for v in range(vectors):
                code.set(sums[r][v], code.load(places[r][v]))
    size = code.mul(own["count"], own["b_k"])
    with code.loop(0, own["segments"], "segment") as segment:
        a = code.at(own["a"], code.mul(segment, own["a_segment"]))
        b = code.at(own["b"], code.mul(segment, size))
        with code.loop(0, own["count"], "k") as k:
            here = code.at(b, code.mul(k, own["b_k"]))
            weights = [code.load(code.at(here, v * lanes)) for v in range(vectors)]
            column = code.at(a, code.mul(k, own["a_k"]))
            for r in range(rows):
                number = code.load_number(code.at(column, code.mul(own["a_row"], r)))
                factor = code.splat(number)
                for v in range(vectors):
                    code.set(sums[r][v], code.fma(factor, weights[v], code.get(sums[r][v])))
    for r in range(rows):
        for v in range(vectors):
            code.store(code.get(sums[r][v]), places[r][v])
    code.finish()


def call_panel(
    code: Code, table: ir.Value, vectors: ir.Value, rows: ir.Value, **arguments: ir.Value
) -> None:
    """Call the panel of so many vectors and rows."""
    index = code.add(code.mul(vectors, MOST_ROWS + 1), rows)
    address = code.read_pointer(table, index)
    given = [arguments[name] for name, _ in PANEL_ARGUMENTS]
    code.call_address(address, PANEL_TYPE, given)


def _transposed(code: Code, rows: list[ir.Value]) -> list[ir.Value]:
    """As many vectors as they have lanes, transposed: pairs of ever larger squares change
    places."""
    lanes = len(rows)
    places = ir.VectorType(ir.IntType(32), lanes)
    step = 1
    while step < lanes:
        low = [lane if not lane & step else lanes + lane - step for lane in range(lanes)]
        high = [lane + step if not lane & step else lanes + lane for lane in range(lanes)]
        new = list(rows)
        for first in range(lanes):
            if not first & step:
                pair = rows[first], rows[first + step]
                new[first] = code.build.shuffle_vector(*pair, ir.Constant(places, low))
                new[first + step] = code.build.shuffle_vector(*pair, ir.Constant(places, high))
        rows = new
        step *= 2
    return rows


PACK_ARGUMENTS = (
    ("source", POINTER),
    ("row", INT),
    ("units", INT),
    ("count", INT),
    ("target", POINTER),
    ("step", INT),
)


def _pack_rows(module: Module) -> None:
    """target[k, lane] = source[lane, k] for k below ``count``; zero from lane ``units`` on."""
    code = Code(module, "pack_rows", PACK_ARGUMENTS)
    own, lanes = code.arguments, module.lanes

    def put(k: ir.Value, vector: ir.Value) -> None:
        code.store(vector, code.at(own["target"], code.mul(k, own["step"])))

    full = code.compare(">=", own["units"], lanes)
    blocks = code.pick(full, code.div(own["count"], lanes), 0)
    with code.loop(0, blocks, "block") as block:
        k = code.mul(block, lanes)
        rows = [
            code.load(code.at(own["source"], code.add(code.mul(own["row"], lane), k)))
            for lane in range(lanes)
        ]
        for number, vector in enumerate(_transposed(code, rows)):
            put(code.add(k, number), vector)
    square = code.space(module.vector)
    with code.loop(code.mul(blocks, lanes), own["count"], "k") as k:
        code.store(code.number(0.0), square)
        with code.loop(0, code.least(own["units"], lanes), "lane") as lane:
            number = code.load_number(
                code.at(own["source"], code.add(code.mul(own["row"], lane), k))
            )
            code.store(number, code.at(square, lane))
        put(k, code.load(square))
    code.finish()


def _pack_columns(module: Module) -> None:
    """target[k, lane] = source[k, lane] for k below ``count``; zero from lane ``units`` on."""
    code = Code(module, "pack_columns", PACK_ARGUMENTS)
    own = code.arguments
    mask = code.mask(own["units"])
    with code.loop(0, own["count"], "k") as k:
        vector = code.load_masked(code.at(own["source"], code.mul(k, own["row"])), mask)
        code.store(vector, code.at(own["target"], code.mul(k, own["step"])))
    code.finish()


OUTER_ARGUMENTS = (
    ("left", POINTER),
    ("left_row", INT),
    ("left_step", INT),
    ("left_from", INT),
    ("left_to", INT),
    ("right", POINTER),
    ("right_row", INT),
    ("right_units", INT),
    ("rows", INT),
    ("targets", POINTER),
    ("count", INT),
    ("add", INT),
    ("table", POINTER),
)


def _outer(module: Module) -> None:
    """target[n][i, j] (+)= sum over rows of left[row, n * left_step + i] * right[row, j]

    for every n below ``count``, i from left_from to left_to. With ``add`` the sum is added to what
    is there; a target that is 0 is left out."""
    code = Code(module, "outer", OUTER_ARGUMENTS)
    own, lanes = code.arguments, module.lanes
    vectors = best_vectors(module.machine)
    most = most_rows(vectors, module.machine)
    packed = code.space(module.vector, ROWS_AT_ONCE * vectors)
    sums = code.space(module.vector, most * vectors)
    columns = vectors * lanes
    pack = module.ir.globals["pack_columns"]
    with code.loop(0, code.up(own["rows"], ROWS_AT_ONCE), "part") as part:
        first = code.mul(part, ROWS_AT_ONCE)
        count = code.least(code.sub(own["rows"], first), ROWS_AT_ONCE)
        with code.loop(0, code.up(own["right_units"], columns), "panel") as panel:
            column = code.mul(panel, columns)
            units = code.least(code.sub(own["right_units"], column), columns)
            width = code.up(units, lanes)
            right = code.at(own["right"], code.add(code.mul(first, own["right_row"]), column))
            step = code.mul(width, lanes)
            with code.loop(0, width, "v") as v:
                there = code.mul(v, lanes)
                code.build.call(
                    pack,
                    [
                        code.at(right, there),
                        own["right_row"],
                        code.sub(units, there),
                        count,
                        code.at(packed, there),
                        step,
                    ],
                )
            with code.loop(0, own["count"], "matrix") as matrix:
                target = code.read_pointer(own["targets"], matrix)
                wanted = code.compare("!=", code.build.ptrtoint(target, INT), 0)
                n_left = code.pick(wanted, code.sub(own["left_to"], own["left_from"]), 0)
                with code.loop(0, code.up(n_left, most), "block") as block:
                    unit = code.add(own["left_from"], code.mul(block, most))
                    rows = code.least(code.sub(own["left_to"], unit), most)
                    place = code.add(
                        code.mul(first, own["left_row"]), code.mul(matrix, own["left_step"]), unit
                    )
                    call_panel(
                        code,
                        own["table"],
                        width,
                        rows,
                        a=code.at(own["left"], place),
                        a_row=ir.Constant(INT, 1),
                        a_k=own["left_row"],
                        segments=ir.Constant(INT, 1),
                        a_segment=ir.Constant(INT, 0),
                        count=count,
                        b=packed,
                        b_k=step,
                        c=sums,
                        c_row=step,
                        more=ir.Constant(INT, 0),
                    )
                    fresh = code.build.and_(
                        code.compare("==", part, 0), code.compare("==", own["add"], 0)
                    )
                    corner = code.at(target, code.add(code.mul(unit, own["right_units"]), column))
                    _add_to_target(code, sums, rows, units, corner=corner, fresh=fresh)
    code.finish()


def _add_to_target(
    code: Code,
    sums: ir.Value,
    rows: ir.Value,
    units: ir.Value,
    *,
    corner: ir.Value,
    fresh: ir.Value,
) -> None:
    """Put a panel's sums where they belong, or add them to what is there."""
    own, lanes = code.arguments, code.module.lanes
    width = code.up(units, lanes)
    with code.loop(0, rows, "row") as row, code.loop(0, width, "v") as v:
        there = code.mul(v, lanes)
        place = code.at(corner, code.add(code.mul(row, own["right_units"]), there))
        new = code.load(code.at(sums, code.mul(code.add(code.mul(row, width), v), lanes)))
        mask = code.mask(code.sub(units, there))
        with code.choose(fresh) as (yes, no):
            with yes:
                code.store_masked(new, place, mask)
            with no:
                old = code.load_masked(place, mask)
                code.store_masked(code.build.fadd(old, new), place, mask)


def panel_names(machine: Machine) -> list[str]:
    """The names of the shared functions."""
    return [
        *(panel_name(*shape) for shape in panels(machine)),
        "pack_rows",
        "pack_columns",
        "outer",
    ]


def panel_module(module: Module) -> None:
    """Write the shared functions into a module."""
    for vectors, rows in panels(module.machine):
        _panel(module, vectors, rows)
    _pack_rows(module)
    _pack_columns(module)
    _outer(module)
