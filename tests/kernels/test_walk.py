"""Machine code for cells that look at a memory, beside the reference target: values and gradients
of inputs, memories, start states and parameters.

What the library's cells compute is judged in tests/layers/test_memory.py, by loops written from the
papers. Here the judge is the reference target in float64; what rounding does is measured on it in
float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor import Places, Recurrent, cells
from conveyor.cells import Cell, Input, Matrix, State, Value, cell, softmax, tanh, total
from conveyor.compiler.apart import Apart
from conveyor.compiler.phases import phases
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace
from conveyor.errors import ShapeError
from conveyor.kernels.kernel import InitialState, Memory
from conveyor.kernels.layout.backward_layout import backward_layout
from conveyor.kernels.layout.forward_layout import forward_layout
from conveyor.kernels.llvm import code_cache, compiled_plan, launch_plan, pass_frame
from conveyor.kernels.llvm import share as sharing
from conveyor.kernels.llvm.compiled_plan import pass_text
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.llvm.machine import OTHERS, Machine, object_code
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.steps import Steps
from conveyor.layers.sequence import SequenceLayer
from tests.kernels.agreement import FACTOR, FINER, FLOOR, distance
from tests.kernels.test_llvm_machines import NARROWER
from tests.kernels.test_llvm_threads import CHEAP_TEAM, has_threads, torch_threads
from tests.kernels.walk_cells import ONCE, WALKED, of_two, unread_sums
from tests.layers.named import (
    Named,
    assert_equal,
    assert_same,
    draw,
    gradients,
    leaf,
    loss_of,
    tensors_of,
)

each_cell = pytest.mark.parametrize("name", list(WALKED))

# T, B, L, H, how many times as wide other axes are, and the layer's options.
SIZES: dict[str, tuple[int, int, int, int, int, dict[str, Any]]] = {
    "small": (6, 4, 5, 5, 1, {}),
    "one of each": (1, 1, 1, 1, 1, {}),
    "more places than a vector": (3, 2, 37, 5, 1, {}),
    "wide": (4, 9, 6, 37, 9, {}),
    "as wide as vectors": (4, 7, 16, 16, 8, {}),
    "both directions": (5, 3, 4, 5, 1, {"bidirectional": True}),
    "several stretches": (150, 3, 4, 5, 1, {}),
    "layers": (4, 2, 3, 5, 1, {"num_layers": 2}),
    "checkpoints": (9, 3, 4, 5, 1, {"checkpoint": 2}),
    "learned start": (4, 3, 4, 5, 1, {"learn_start": True}),
}


class Problem:
    """A layer, and what it reads."""

    def __init__(self, name: str, size: str = "small", *, ragged: bool = True) -> None:
        length, batch, places, hidden, wider, options = SIZES[size]
        of, sizes, memories = WALKED[name]
        self.main = of.leaves[0].name
        widths = {key: hidden if _as_hidden(of, key) else w * wider for key, w in memories.items()}
        self.layer = Recurrent(
            of,
            {self.main: 3, **widths},
            hidden,
            sizes={axis: width * wider for axis, width in sizes.items()},
            dtype=torch.float64,
            **options,
        )
        with torch.no_grad():
            for seed, each in enumerate(self.layer.parameters()):
                each.copy_(_single(draw(*each.shape, seed=seed) / each.shape[-1] ** 0.5))
        self.x = _single(draw(length, batch, 3, seed=40))
        others = len(trace(of).places) > 1
        self.memories = {
            key: _single(draw(places + number * others, batch, width, seed=41 + number))
            for number, (key, width) in enumerate(widths.items())
        }
        self.counts: dict[str, list[int]] = {}
        self.more: dict[str, Any] = {}
        if ragged:
            self.counts = {
                key: [1 + (3 * b) % len(each) for b in range(batch)]
                for key, each in self.memories.items()
            }
            self.more["lengths"] = [(5 * b + length) % (length + 1) for b in range(batch)]

    def call(self, sources: Named, **more: Any) -> tuple[Any, ...]:
        """The layer's results on other numbers."""
        own: dict[str, Any] = {self.main: sources["input"]}
        for key in self.memories:
            values = sources[f"memory {key}"]
            own[key] = Places(values, self.counts[key]) if self.counts else values
        results: tuple[Any, ...] = self.layer(own, **{**self.more, **more})
        return results

    def sources(self, dtype: torch.dtype = torch.float64) -> Named:
        """All that it reads, by name."""
        return {
            "input": leaf(self.x.to(dtype)),
            **{f"memory {key}": leaf(each.to(dtype)) for key, each in self.memories.items()},
        }

    def everything(self, target: str | None, dtype: torch.dtype, **more: Any) -> Named:
        """Results and all gradients, by a target."""
        self.layer.to(dtype)
        sources = self.sources(dtype)
        with conveyor.use_target(target):
            output, final = self.call(sources, **more)
            results = dict([*tensors_of("output", output), *tensors_of("final", final)])
            found = gradients(loss_of(results), {**sources, **dict(self.layer.named_parameters())})
        self.layer.double()
        return {**{name: each.detach() for name, each in results.items()}, **found}

    def agrees(self, **more: Any) -> None:
        """Compare both targets."""
        want = self.everything("reference", torch.float64, **more)
        rough = self.everything("reference", torch.float32, **more)
        errors = {name: distance(rough[name], each) for name, each in want.items()}
        for dtype, unit in ((torch.float64, FINER), (torch.float32, 1.0)):
            got = self.everything("llvm", dtype, **more)
            assert got.keys() == want.keys()
            for name, each in want.items():
                error = distance(got[name], each)
                assert error <= FACTOR * (errors[name] + FLOOR) * unit, (name, dtype, error)


def _as_hidden(of: Cell, memory: str) -> bool:
    """Whether the vectors of a memory are as wide as the hidden state."""
    return next(each for each in trace(of).memories if each.name == memory).axes[1] == "H"


def _single(values: Tensor) -> Tensor:
    """Numbers that float32 has too."""
    return values.float().double()


@each_cell
@pytest.mark.parametrize("size", list(SIZES))
def test_it_agrees_with_the_reference(name: str, size: str, request: pytest.FixtureRequest) -> None:
    """Sequences of different lengths, with memories of different numbers of places."""
    if size == "small":
        request.getfixturevalue("code_of_users")
    Problem(name, size).agrees()


@each_cell
def test_sequences_of_one_length(name: str) -> None:
    Problem(name, ragged=False).agrees()


@each_cell
def test_resets(name: str) -> None:
    """Two sequences are made of one, and both look at its memory."""
    given = Problem(name, "both directions")
    reset = torch.zeros(given.x.shape[:2], dtype=torch.bool)
    reset[2, 0] = reset[1, 1] = reset[3, 0] = True
    given.agrees(reset=reset)


DRAWN = ({"zoneout": 0.3}, {"recurrent_dropout": {"c": 0.3}}, {"variational_dropout": 0.3})


@pytest.mark.parametrize("name", ["bahdanau", "luong"])
@pytest.mark.parametrize("change", DRAWN, ids=str)
def test_regularisers(name: str, change: dict[str, Any]) -> None:
    """Masks are inputs of the loop, drawn the same for all targets."""
    given = Problem(name)
    of, sizes, memories = WALKED[name]
    given.layer = Recurrent(
        of, {given.main: 3, **memories}, 5, sizes=sizes, dtype=torch.float64, **change
    )
    results = []
    for target in ("llvm", "reference"):
        torch.manual_seed(3)
        results.append(given.everything(target, torch.float64))
    assert_same(*results, rtol=1e-9, atol=1e-10)
    torch.manual_seed(4)
    others = given.everything("llvm", torch.float64)
    assert not torch.equal(others["gradient of input"], results[0]["gradient of input"])


@contextmanager
def teams(monkeypatch: pytest.MonkeyPatch, threads: int) -> Iterator[None]:
    """So many threads, which cost nothing by the rule."""
    with monkeypatch.context() as patch, torch_threads(threads):
        for constant, value in CHEAP_TEAM.items():
            patch.setattr(sharing, constant, value)
        yield


@has_threads
@each_cell
@pytest.mark.parametrize("size", ["wide", "several stretches"])
def test_the_same_bits_however_many_threads(
    name: str, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = Problem(name, size).everything("llvm", torch.float32)
    for threads in (2, 4):
        given = Problem(name, size)
        with teams(monkeypatch, threads):
            said = given.layer.explain({given.main: given.x, **given.memories})
            assert "threads, each with a part of the batch" in said
            for _ in range(2):
                assert_equal(given.everything("llvm", torch.float32), want)


@pytest.mark.parametrize("name", ["bahdanau", "of_other_places"])
def test_functions_of_phases_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in passes of dozens of phases."""
    want = Problem(name).everything("llvm", torch.float32)
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", "")
    monkeypatch.setattr(code_cache, "_LOADED", {})
    monkeypatch.setattr(pass_frame, "MOST_PHASES_IN_A_FUNCTION", 0)
    assert_equal(Problem(name).everything("llvm", torch.float32), want)


@pytest.mark.parametrize("machine", OTHERS.values(), ids=OTHERS)
def test_code_for_other_machines(machine: Machine) -> None:
    loop = plan(trace(WALKED["graves_window"][0])).loop
    for layout in (forward_layout(loop, training=True), backward_layout(loop)):
        assert object_code(pass_text(layout, machine, torch.float32), machine)


@pytest.mark.parametrize("machine", NARROWER.values(), ids=NARROWER)
def test_narrower_vectors(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_plan.library.cache_clear()
    for module in (compiled_plan, launch_plan):
        monkeypatch.setattr(module, "host", lambda: machine)
    try:
        Problem("bahdanau", "more places than a vector").agrees()
    finally:
        compiled_plan.library.cache_clear()


def test_a_memory_of_another_batch_is_refused() -> None:
    """Machine code would read beside it."""
    given = Problem("luong", ragged=False)
    loop = given.layer.plan.loop
    kernel = LlvmKernel(loop, torch.float64)
    widths = {leaf.name.removesuffix("'"): 5 for leaf in loop.program.states}
    short = Memory(given.memories["memory"].transpose(0, 1)[:2].contiguous())
    with pytest.raises(ShapeError, match=r"memory memory is \[2, 5, 4\]; expected \[4, L, D\]"):
        kernel.sequence(
            {given.main: given.x},
            InitialState(widths, None, {"memory": short}),
            Parameters.of({n.removeprefix("l0."): p for n, p in given.layer.named_parameters()}),
            steps=Steps.dense(6, 4),
            observe=False,
        )


@each_cell
def test_the_same_bits_without_gradients(name: str) -> None:
    given = Problem(name)
    sources = given.sources()
    with_gradients = given.call(sources)
    with torch.no_grad():
        without = given.call(sources)
    for one, two in zip(with_gradients, without, strict=True):
        assert_equal(dict(tensors_of("", one)), dict(tensors_of("", two)))


@each_cell
def test_a_sequence_does_not_depend_on_the_others(name: str) -> None:
    given = Problem(name, "wide")
    output, _ = given.call(given.sources())
    (whole, *_), row = [each for _, each in tensors_of("", output)], 3
    alone = Problem(name, "wide")
    alone.x = given.x[:, row : row + 1]
    alone.memories = {key: each[:, row : row + 1] for key, each in given.memories.items()}
    alone.counts = {key: each[row : row + 1] for key, each in given.counts.items()}
    alone.more = {"lengths": given.more["lengths"][row : row + 1]}
    (by_itself, *_) = [each for _, each in tensors_of("", alone.call(alone.sources())[0])]
    assert torch.equal(whole[:, row : row + 1], by_itself)


@pytest.mark.parametrize("wanted", ["input", "memory memory", "parameters"])
def test_only_some_gradients_are_wanted(wanted: str) -> None:
    given = Problem("bahdanau")
    want = given.everything("llvm", torch.float64)
    sources = {
        name: each if name == wanted else each.detach() for name, each in given.sources().items()
    }
    for parameter in given.layer.parameters():
        parameter.requires_grad_(wanted == "parameters")
    output, final = given.call(sources)
    results = dict([*tensors_of("output", output), *tensors_of("final", final)])
    of = (
        dict(given.layer.named_parameters())
        if wanted == "parameters"
        else {wanted: sources[wanted]}
    )
    for name, each in gradients(loss_of(results), of).items():
        assert torch.equal(each, want[name])


def test_gradients_of_gradients_and_many_at_once() -> None:
    """By the reference target, from what machine code gave."""
    given = Problem("bahdanau")
    sources = given.sources()
    results = []
    for target in ("llvm", "reference"):
        with conveyor.use_target(target):
            output, _ = given.call(sources)
            of = list(sources.values())
            first = torch.autograd.grad((output.s**2).sum(), of, create_graph=True)
            squares = torch.stack([(each**2).sum() for each in first])
            second = torch.autograd.grad(squares.sum(), of)
            every = torch.eye(output.s[0].numel(), dtype=torch.float64)
            rows = every.view(-1, *output.s[0].shape)
            output, _ = given.call(sources)
            many = torch.autograd.grad(output.s[0], of, rows, is_grads_batched=True)
            results.append((*first, *second, *many))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-11)


@each_cell
@pytest.mark.parametrize("gradients_too", [False, True])
def test_traces(name: str, gradients_too: bool) -> None:
    """What is observed, and gradients that arrive there."""
    found: list[list[Tensor]] = []
    for target in ("llvm", "reference"):
        given = Problem(name)
        sources = given.sources()
        with conveyor.use_target(target):
            output, _, seen = given.call(sources, trace="gradient" if gradients_too else True)
            loss = loss_of(dict(tensors_of("", output)))
            values = {key: each for key, each in seen.items() if each.requires_grad}
            here = [each.detach() for each in seen.values()]
            if gradients_too:
                of = torch.autograd.grad(loss, list(values.values()), retain_graph=True)
                here += of
            here += gradients(loss, sources).values()
        found.append(here)
    apart = given.layer.plan.apart
    assert isinstance(apart, Apart)
    # Names of what is done once are observed by the reference target.
    assert apart.whole_trace == (name != "of_two")
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-10)


def test_the_numbers_of_places_are_in_the_trace_of_machine_code() -> None:
    given = Problem("bahdanau")
    apart = given.layer.plan.apart
    assert isinstance(apart, Apart)
    assert apart.whole_trace
    _, _, seen = given.call(given.sources(), trace=True)
    for b, count in enumerate(given.counts["memory"]):
        assert (seen["a"][:, b, count:] == 0).all()
        steps = given.more["lengths"][b]
        torch.testing.assert_close(
            seen["a"][:steps, b].sum(-1), torch.ones(steps, dtype=torch.float64)
        )


@cell
def of_products(x: Input, h: State, memory: cells.Memory, W: Matrix, U: Matrix) -> Value:
    """A product with what changes at each place."""
    at_places = U @ (memory * total(h))
    return tanh(W @ x + softmax(total(at_places)) @ at_places)


def test_what_has_no_walk_stays_on_the_reference_target() -> None:
    layer = Recurrent(of_products, {"x": 3, "memory": 4}, 5)
    x, memory = torch.randn(6, 2, 3), torch.randn(3, 2, 4)
    text = layer.explain({"x": x, "memory": memory})
    assert "target: reference" in text
    assert "no products with a vector at each place of a memory at every step: U @ ..." in text
    assert "left to autograd" in text
    layer({"x": x, "memory": memory})[0].sum().backward()


def test_what_is_done_once_comes_from_outside() -> None:
    """A vector at places is a memory of the loop; a vector of a sequence, a number for each place
    and one number are inputs, the same at all steps."""
    apart = plan(trace(of_two)).apart
    assert isinstance(apart, Apart)
    assert list(apart.memories) == ["keys", "values"]
    assert sorted(apart.program.axes[name] for name in apart.inputs) == [("E",), ("L",), ("One",)]
    whole = plan(trace(WALKED["bahdanau"][0]))
    assert isinstance(whole.apart, Apart)
    loop = whole.apart.program
    assert len(loop.memories) == 2
    assert "U_a" in {leaf.name for leaf in whole.program.parameters}
    assert "U_a" not in {leaf.name for leaf in loop.parameters}
    (at_places,) = whole.apart.at_places
    assert [leaf.name for leaf in at_places.leaves] == ["memory", "U_a"]
    assert [(o.op, o.axes) for o in at_places.operations] == [("matmul", ("A",))]
    assert apart.at_places == ()  # sums over units and places are torch's


@each_cell
def test_no_vector_at_places_is_stored(name: str) -> None:
    loop = plan(trace(WALKED[name][0])).loop
    assert all(len(loop.gradient.axes[value]) < 2 for value in loop.kept)
    for layout in (
        forward_layout(loop, training=False),
        forward_layout(loop, training=True),
        backward_layout(loop),
    ):
        for key, array in layout.arrays.items():
            at_places = [column for column in array.columns if column.place]
            assert not at_places or array.rows == "sequence", key
            wide = [c for c in array.columns if len(layout.program.axes.get(c.value, ())) > 1]
            assert wide == at_places


def test_walks_come_behind_what_they_read() -> None:
    loop = plan(trace(WALKED["bahdanau"][0])).loop
    ordered = phases(loop.forward.loop, loop.program.axes)
    walks = [phase for phase in ordered if phase.place]
    assert [(phase.place, phase.axis, phase.made) for phase in walks] == [
        ("L", "A", ("e",)),
        ("L", "D", ("c",)),
    ]
    done: set[str] = set()
    made = {name for phase in ordered for name in phase.made}
    for phase in ordered:
        read = {a for o in phase.operations for a in o.arguments} & made - set(phase.made)
        assert read <= done
        done |= set(phase.made)


def test_products_over_steps_are_summed_when_all_steps_are_done() -> None:
    """∂memory of Luong's cell is two products; of Bahdanau's, what is in the score is made of tanh,
    and a walk adds it."""
    of_luong = backward_layout(plan(trace(WALKED["luong"][0])).loop)
    assert len(of_luong.over_steps) == 2
    assert not [phase.added for _, phase in of_luong.phases if phase.added]
    of_bahdanau = backward_layout(plan(trace(WALKED["bahdanau"][0])).loop)
    assert [term.memory for term in of_bahdanau.over_steps] == ["memory"]
    (added,) = [phase.added for _, phase in of_bahdanau.phases if phase.added]
    assert len(added) == 1


def test_the_loop_is_the_kernel_of_machine_code() -> None:
    layer = Problem("luong").layer
    assert isinstance(layer, SequenceLayer)
    kernel = layer._kernel(layer._placement(layer._weight()))
    assert isinstance(kernel.loop, LlvmKernel)  # type: ignore[attr-defined]


def _of_once(of: Cell, lengths: list[int] | None = None) -> tuple[SequenceLayer, Named, Any]:
    """A layer, what it reads, and a call of it by these."""
    layer = Recurrent(of, {"x": 3, "m": 5}, 5, dtype=torch.float64)
    with torch.no_grad():
        for seed, each in enumerate(layer.parameters()):
            each.copy_(draw(*each.shape, seed=seed) / each.shape[-1] ** 0.5)
    sources = {"x": leaf(draw(4, 3, 3, seed=20)), "m": leaf(draw(6, 3, 5, seed=21))}

    def call(**more: Any) -> Any:
        places = Places(sources["m"], [2, 6, 1])
        return layer({"x": sources["x"], "m": places}, lengths=lengths, **more)

    return layer, sources, call


@pytest.mark.parametrize("of", ONCE, ids=lambda of: of.name)
@pytest.mark.parametrize("target", ["reference", "llvm"])
def test_what_is_done_once_is_as_at_each_step(of: Cell, target: str) -> None:
    """The judge is the program, evaluated word for word step by step."""
    layer, sources, call = _of_once(of)
    every = {**sources, **dict(layer.named_parameters())}
    outputs, state = [], None
    with conveyor.use_target("reference"):
        for x in sources["x"]:
            output, state = layer.step({"x": x, "m": Places(sources["m"], [2, 6, 1])}, state)
            outputs.append(output)
    stepped = dict(tensors_of("final", state))
    want = {"output": torch.stack(outputs), **stepped}
    want_gradients = gradients(loss_of(want), every)
    with conveyor.use_target(target):
        assert f"target: {target}" in layer.explain({"x": sources["x"], "m": sources["m"]})
        output, final = call()
        got = dict([*tensors_of("output", output), *tensors_of("final", final)])
        assert_same(got, want, rtol=1e-11, atol=1e-13)
        assert_same(gradients(loss_of(got), every), want_gradients, rtol=1e-9, atol=1e-11)
        with torch.no_grad():
            assert torch.equal(call()[0], output)


@pytest.mark.parametrize("gradients_too", [False, True])
def test_a_trace_has_sums_that_nothing_reads(gradients_too: bool) -> None:
    found = []
    for target in ("llvm", "reference"):
        with conveyor.use_target(target):
            layer, sources, call = _of_once(unread_sums)
            apart = layer.plan.apart
            assert isinstance(apart, Apart)
            assert apart.whole_trace
            output, _, seen = call(trace="gradient" if gradients_too else True)
            assert {"unread", "also"} <= set(seen)
            loss = loss_of({"output": output, **seen})
            found.append([*seen.values(), *gradients(loss, sources).values()])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


@cell
def of_numbers(
    x: Input, h: State, m: cells.Memory, W: Matrix, b: cells.Bias
) -> tuple[Value, Value]:
    """The expected place, by weights that change, of scores that do not."""
    a = softmax(total(m * m) * total(h))
    h = tanh(W @ x + b * total(a * cells.places(m)))
    return h, h


def test_numbers_of_places_without_vectors_stay_on_the_reference_target() -> None:
    layer = Recurrent(of_numbers, {"x": 3, "m": 4}, 5)
    text = layer.explain({"x": torch.randn(4, 2, 3), "m": torch.randn(6, 2, 4)})
    assert "target: reference" in text
    assert "no vector of a memory at every step, only numbers for the places L" in text
