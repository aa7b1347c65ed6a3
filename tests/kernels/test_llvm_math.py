"""exp, sigmoid, tanh and log of generated kernels: errors, special values, other machines."""

import ctypes
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from conveyor.kernels.llvm import vector_math
from conveyor.kernels.llvm.builder import INT, POINTER, Code, Module
from conveyor.kernels.llvm.machine import OTHERS, Loaded, Machine, assembly, host, object_code

Array = npt.NDArray[Any]

# Greatest error in units of the last place, as the module says.
BOUNDS = {
    "exp": {"float32": 1.1, "float64": 1.1},
    "sigmoid": {"float32": 2.0, "float64": 2.0},
    "tanh": {"float32": 2.0, "float64": 2.0},
    "log": {"float32": 1.0, "float64": 1.0},
}
NAMES = list(BOUNDS)
TYPES = ["float32", "float64"]
TORCH = {"float32": torch.float32, "float64": torch.float64}
# Kernels go through whole vectors: 64 bytes, at most 16 numbers.
MOST_LANES = 16

# Where to look closely: ends of ranges, and where results pass a power of two.
SPOTS = {
    "exp": [0.0, 88.7228391, -87.3365448, 709.7827128933841, -708.3964185322641],
    "sigmoid": [0.0, 17.3287, 37.42995, -16.6355, -36.7368, -87.3365448, -708.3964185322641],
    "tanh": [0.0, 0.12566, 0.255413, 0.5493061, 9.01091, 19.061547],
    "log": [0.7071067811865476, 1.0, 1.4142135623730951, 2.0],
}
# Between these there is more to see than 0, 1 or inf.
RANGES = {
    "exp": {"float32": (-90.0, 90.0), "float64": (-710.0, 711.0)},
    "sigmoid": {"float32": (-90.0, 20.0), "float64": (-710.0, 40.0)},
    "tanh": {"float32": (-10.0, 10.0), "float64": (-20.0, 20.0)},
    "log": {"float32": (0.25, 4.0), "float64": (0.25, 4.0)},
}


def runnable() -> dict[str, Machine]:
    """This processor, and older ones that it can stand for."""
    here = host()
    fits = {
        name: machine
        for name, machine in OTHERS.items()
        if machine.triple == here.triple and machine.vector_bytes <= here.vector_bytes
    }
    return {"host": here, **fits}


RUNNABLE = runnable()


def every_machine_type_and_function(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test on every function, in every type, on every machine that this one can be."""
    for name, values in (("name", NAMES), ("dtype", TYPES), ("machine", list(RUNNABLE))):
        test = pytest.mark.parametrize(name, values)(test)
    return test


def write(name: str, machine: Machine, dtype: str) -> str:
    """A kernel f(out, x, count): a function of every number."""
    module = Module("test", machine, TORCH[dtype])
    code = Code(module, "f", [("out", POINTER), ("x", POINTER), ("count", INT)])
    given = code.arguments
    with code.loop(0, code.div(given["count"], module.lanes)) as vector:
        start = code.mul(vector, module.lanes)
        result = getattr(vector_math, name)(code, code.load(code.at(given["x"], start)))
        code.store(result, code.at(given["out"], start))
    code.finish()
    return str(module)


@cache
def compiled(name: str, machine: str, dtype: str) -> Callable[[Array], Array]:
    kind = RUNNABLE[machine]
    loaded = Loaded(object_code(write(name, kind, dtype), kind), ["f"])
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)

    def run(x: Array) -> Array:
        padded = np.zeros(-(-x.size // MOST_LANES) * MOST_LANES, dtype)
        padded[: x.size] = x
        out = np.full_like(padded, 7.0)
        call(loaded.address["f"])(out.ctypes.data, padded.ctypes.data, padded.size)
        return out[: x.size]

    return run


# Exact values -----------------------------------------------------------------------------------


def wide(name: str, x: Array) -> Array:
    """The function in the type of x, which is one with more digits."""
    with np.errstate(over="ignore", under="ignore"):
        if name == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-x)))
        return np.asarray(getattr(np, name)(x))


def exact(name: str, number: float) -> Decimal:
    """The function, with 60 digits."""
    with localcontext(Context(prec=60, traps=[])):
        x = Decimal(number)
        if name == "exp":
            return x.exp()
        if name == "sigmoid":
            return 1 / (1 + (-x).exp())
        if name == "log":
            return x.ln()
        if abs(x) < Decimal("1e-10"):
            return x - x**3 / 3
        return 1 - 2 / ((2 * x).exp() + 1)


def ulps(result: Array, exactly: Array, dtype: str) -> Array:
    """Errors in units of the last place that the exact result has in this type.

    Where the exact result is subnormal, 0 is right too.
    """
    info = np.finfo(dtype)
    _, exponent = np.frexp(exactly)
    unit = np.ldexp(np.ones_like(exactly), np.maximum(exponent - 1, info.minexp) - info.nmant)
    error = np.abs(result.astype(exactly.dtype) - exactly) / unit
    flushed = (np.abs(exactly) < info.tiny) & (result == 0)
    return np.where(flushed, 0.0, error)


def bits_of(numbers: Array) -> Array:
    bits: Array = numbers.view(f"int{8 * numbers.itemsize}")
    return bits


def around(centres: Array, count: int) -> Array:
    """The numbers next to each of these, so many on either side."""
    steps = np.arange(-count, count + 1, dtype=bits_of(centres).dtype)
    near: Array = (bits_of(centres)[:, None] + steps).ravel().view(centres.dtype)
    return near[np.isfinite(near)]  # bits do not count on from 0 downwards: those are NaN


def points(name: str, dtype: str, count: int) -> Array:
    """Normal numbers of every kind, of both signs; positive ones for log."""
    random = np.random.default_rng(5)
    info = np.finfo(dtype)
    low, high = RANGES[name][dtype]
    size = f"int{info.bits}"
    largest = int(np.asarray(info.max, dtype).view(size))
    patterns = random.integers(0, largest, count, dtype=size, endpoint=True).view(dtype)
    spread = 2.0 ** random.uniform(info.minexp + 1, 10, count)
    even = random.uniform(low, high, count)
    # Where one power of two gives way to the next: at odd multiples of (ln 2)/2, for tanh also
    # of (ln 2)/4.
    step = math.log(2) / 4
    odd = np.arange(math.floor(low / step), math.ceil(high / step)) * step
    chosen = random.choice(odd, min(odd.size, count // 16), replace=False).astype(dtype)
    x = np.concatenate(
        [
            np.concatenate([part, -part])
            for part in (
                patterns,
                spread.astype(dtype),
                even.astype(dtype),
                around(chosen, 4),
                around(np.array(SPOTS[name], dtype), count // 16),
            )
        ]
    )
    kept: Array = x[(np.abs(x) >= info.tiny) & ((x > 0) | (name != "log"))]
    return kept


def inside(name: str, dtype: str, x: Array) -> Array:
    """Without those of which the result overflows."""
    most = np.float64(math.log(float(np.finfo(dtype).max)))  # not to be rounded to float32
    return x[x <= most] if name == "exp" else x


@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize("name", NAMES)
def test_errors_of_float32(name: str, machine: str) -> None:
    x = inside(name, "float32", points(name, "float32", 400_000))
    error = ulps(compiled(name, machine, "float32")(x), wide(name, x.astype("float64")), "float32")
    worst = int(np.argmax(error))
    assert error[worst] <= BOUNDS[name]["float32"], x[worst]


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="no numbers of more digits")
@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize("name", NAMES)
def test_errors_of_float64(name: str, machine: str) -> None:
    x = inside(name, "float64", points(name, "float64", 100_000))
    exactly = wide(name, x.astype(np.longdouble))
    error = ulps(compiled(name, machine, "float64")(x), exactly, "float64")
    worst = int(np.argmax(error))
    assert error[worst] <= BOUNDS[name]["float64"], x[worst]


@pytest.mark.parametrize("name", NAMES)
def test_errors_of_float64_by_decimals(name: str) -> None:
    """Independent of the machine's own functions; fewer points."""
    x = inside(name, "float64", points(name, "float64", 1_000))
    result = compiled(name, "host", "float64")(x)
    tiny, bound = np.finfo("float64").tiny, Decimal(BOUNDS[name]["float64"])
    for number, found in zip(x.tolist(), result.tolist(), strict=True):
        true = exact(name, number)
        if abs(true) < tiny and found == 0:
            continue
        rounded = float(true)
        below = abs(true) < abs(Decimal(rounded))  # maybe rounded up to a power of two
        unit = math.ulp(math.nextafter(rounded, 0.0) if below else rounded)
        assert abs(Decimal(found) - true) <= bound * Decimal(unit), number


# Special values ---------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf
SPECIAL = [
    ("exp", 0.0, 1.0),
    ("exp", -0.0, 1.0),
    ("exp", 1e-30, 1.0),
    ("exp", INF, INF),
    ("exp", -INF, 0.0),
    ("exp", 710.0, INF),
    ("exp", 3e38, INF),
    ("exp", -746.0, 0.0),
    ("exp", -3e38, 0.0),
    ("sigmoid", 0.0, 0.5),
    ("sigmoid", -0.0, 0.5),
    ("sigmoid", INF, 1.0),
    ("sigmoid", -INF, 0.0),
    ("sigmoid", 38.0, 1.0),
    ("sigmoid", 3e38, 1.0),
    ("sigmoid", -746.0, 0.0),
    ("sigmoid", -3e38, 0.0),
    ("tanh", 0.0, 0.0),
    ("tanh", -0.0, -0.0),
    ("tanh", INF, 1.0),
    ("tanh", -INF, -1.0),
    ("tanh", 19.5, 1.0),
    ("tanh", -19.5, -1.0),
    ("tanh", 3e38, 1.0),
    ("tanh", -3e38, -1.0),
    ("tanh", 2.0**-60, 2.0**-60),
    ("tanh", -(2.0**-125), -(2.0**-125)),
    ("log", 0.0, -INF),
    ("log", -0.0, -INF),
    ("log", 1.0, 0.0),
    ("log", INF, INF),
    ("log", -INF, NAN),
    ("log", -1.0, NAN),
    ("log", -1e-37, NAN),
    ("log", -3e38, NAN),
    *((name, value, NAN) for name in NAMES for value in (NAN, -NAN)),
]


def is_same(result: float, expected: float) -> bool:
    """Return whether two numbers are equal, zeros with their sign, and NaN with NaN."""
    if math.isnan(expected):
        return math.isnan(result)
    return result == expected and math.copysign(1.0, result) == math.copysign(1.0, expected)


@every_machine_type_and_function
def test_special_values(name: str, dtype: str, machine: str) -> None:
    run = compiled(name, machine, dtype)
    wrong = []
    for function, argument, expected in SPECIAL:
        if function != name:
            continue
        results = run(np.full(MOST_LANES, argument, dtype)).tolist()
        if not all(is_same(result, expected) for result in results):
            wrong.append(f"{name}({argument}) is {results}; expected {expected}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dtype", TYPES)
def test_what_is_subnormal_counts_as_zero(dtype: str) -> None:
    """Also without a processor that is told so, the results are as if it were."""
    subnormal = np.array([np.finfo(dtype).tiny / 4], dtype)
    assert compiled("log", "host", dtype)(subnormal).tolist() == [-INF]
    assert compiled("log", "host", dtype)(-subnormal).tolist() == [-INF]
    assert compiled("exp", "host", dtype)(subnormal).tolist() == [1.0]
    assert compiled("sigmoid", "host", dtype)(subnormal).tolist() == [0.5]


@every_machine_type_and_function
def test_nothing_beyond_the_ends(name: str, dtype: str, machine: str) -> None:
    """Far out, and right beside where that begins."""
    run = compiled(name, machine, dtype)
    info = np.finfo(dtype)
    digits = info.nmant
    far = np.geomspace(1.0, float(info.max) / 1e3, 5_000).astype(dtype)
    # Half a unit below 1: exp(-x) for sigmoid, 2 exp(-2 x) for tanh; 1% for the second order.
    ends = {"sigmoid": (digits + 2) * math.log(2), "tanh": (digits + 3) * math.log(2) / 2}
    if name in ends:
        assert set(run(far[far > ends[name]]).tolist()) == {1.0}
        near = (ends[name] + np.geomspace(1e-3, 1.0, 1_000)).astype(dtype)
        assert set(run(near).tolist()) == {1.0}
    if name == "tanh":
        np.testing.assert_array_equal(run(-far), -run(far))
        small = np.geomspace(float(info.tiny), 2.0 ** -(digits + 2), 5_000).astype(dtype)
        np.testing.assert_array_equal(run(small), small)
    if name == "exp":
        greatest = np.float64(math.log(float(info.max)))
        above = around(np.array([greatest], dtype), 200)
        above = above[above > greatest]
        assert above.size > 100
        assert set(run(above).tolist()) == {INF}
        assert set(run(far[far > greatest]).tolist()) == {INF}
    if name in {"exp", "sigmoid"}:
        nothing = -math.log(float(info.tiny)) + 1.0
        assert set(run(-far[far > nothing]).tolist()) == {0.0}
    if name == "log":
        assert np.isnan(run(-far)).all()


@every_machine_type_and_function
def test_nan_stays_in_its_lane(name: str, dtype: str, machine: str) -> None:
    """Whatever bits the NaN has: some are meant to look like exponents."""
    random = np.random.default_rng(6)
    run = compiled(name, machine, dtype)
    x = random.uniform(0.1, 30.0, 4096).astype(dtype)
    with_nan = x.copy()
    lanes = random.random(x.size) < 0.3
    info = np.finfo(dtype)
    quiet = bits_of(np.array([np.nan], dtype))[0]
    payload = random.integers(0, 2 ** (info.nmant - 1), x.size, dtype=f"int{info.bits}")
    bits_of(with_nan)[lanes] = (quiet | payload)[lanes]
    with_nan[lanes & (random.random(x.size) < 0.5)] *= -1
    before, after = run(x), run(with_nan)
    np.testing.assert_array_equal(np.isnan(after), lanes)
    np.testing.assert_array_equal(after[~lanes], before[~lanes])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("machine", RUNNABLE)
def test_floor_is_exact(machine: str, dtype: str) -> None:
    """Of numbers of all sizes: halves, whole numbers and their neighbours, numbers without a digit
    behind the point, and what is no number."""
    digits = 23 if dtype == "float32" else 52
    powers = 2.0 ** np.arange(-30, digits + 9)
    x = np.concatenate([np.arange(-50, 50) / 4, powers, powers - 0.5, powers + 0.5, 3 * powers])
    x = np.concatenate([x, -x, [0.0, -0.0, np.inf, -np.inf, np.nan]]).astype(dtype)
    x = np.concatenate([x, np.nextafter(x, np.inf), np.nextafter(x, -np.inf)])
    np.testing.assert_array_equal(compiled("floor", machine, dtype)(x), np.floor(x))


# Code -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("machine", OTHERS)
def test_every_machine_has_code_for_it(machine: str, dtype: str) -> None:
    """And calls nothing: a library's function would be many times slower."""
    for name in (*NAMES, "floor"):
        text = write(name, OTHERS[machine], dtype)
        assert object_code(text, OTHERS[machine])
        assert not re.search(r"^\s+(callq?|blr?)\s", assembly(text, OTHERS[machine]), re.M)
