# ruff: noqa: PLR0917  (a cell's letters are its arguments)
"""States that leave the loop: what plans make of them, beside stepping sequence by sequence."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import pytest
import torch
from torch import Tensor

from conveyor.cells import Input, Matrix, State, Value, cell, mean, tanh
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace
from conveyor.kernels.kernel import Kernel
from conveyor.kernels.llvm import share
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.reference import ReferenceKernel, evaluate
from conveyor.kernels.steps import Steps
from tests.kernels.agreement import Problem, named_results, problem
from tests.kernels.llvm_cases import CLOSE
from tests.kernels.programs import PROGRAMS
from tests.layers.named import Named, gradients, leaf, loss_of


@cell
def of_inputs(
    x: Input,
    h: State,
    two: Annotated[State, "I"],
    one: Annotated[State, "I"],
    W: Matrix,
    U: Matrix,
) -> tuple[Value, Value, Value]:
    """Two states that are the input itself, one and two steps late, the later first."""
    h = tanh(W.a @ x + W.b @ one + W.c @ two + U @ h + mean(one))
    two = one
    one = x
    return h, two, one


CELLS = {
    **{name: program for name, (program, _) in PROGRAMS.items()},
    "of_inputs": trace(of_inputs),
}

DELAYED = {
    "qrnn_f": ("zx", "fx"),
    "qrnn_fo": ("zx", "fx", "ox"),
    "qrnn_ifo": ("zx", "fx", "ox", "ix"),
    "delay": ("d",),
    "forgetful": ("h",),
    "learned_level": ("k",),
    "window": ("one", "two"),
    "deep_window": ("m",),
    "no_loop": ("k", "m"),
    "of_inputs": ("one", "two"),
}
WALKS = {
    "dense": Steps(7, 3),
    "dense reverse": Steps(7, 3, reverse=True),
    "ragged": Steps(7, 5, (4, 3, 3, 1, 1, 1, 1)),
    "ragged reverse": Steps(7, 5, (4, 3, 3, 1, 1, 1, 1), reverse=True),
    "one sequence": Steps(9, 1),
    "one step": Steps(1, 2),
}


def test_the_states_that_leave_the_loop() -> None:
    """Those of the list, and of no other cell any: not what stays as it was, changes places with
    another state or is another one late that the loop carries."""
    delayed = {name: plan(program).delayed for name, program in CELLS.items()}
    assert {name: set(states) for name, states in delayed.items() if states} == {
        name: set(states) for name, states in DELAYED.items()
    }
    assert delayed["window"] == ("one", "two")  # that which the other is made of first


@dataclass(frozen=True)
class OneByOne:
    """Runs the program step by step, each sequence by itself."""

    given: Problem

    def results(self, start: Named, inputs: Named, parameters: Named) -> Named:
        """Outputs as rows, and final states."""
        program, steps = self.given.program, self.given.steps
        first, _ = steps.in_time
        new, outputs = program.values_of("state"), program.values_of("output")
        rows: dict[str, dict[int, Tensor]] = {name: {} for name in outputs}
        final: dict[str, list[Tensor]] = {name: [] for name in new}
        for sequence, length in enumerate(steps.lengths.tolist()):
            state = {name: each[sequence : sequence + 1] for name, each in start.items()}
            order = range(length)
            for step in reversed(order) if steps.reverse else order:
                row = int(first[step]) + sequence
                values = {**parameters, **{f"{name}'": each for name, each in state.items()}}
                values |= {name: each[row : row + 1] for name, each in inputs.items()}
                axes = {"I": 3, "H": 5}
                evaluate(program.operations, values, axes, next(iter(inputs.values())))
                for name, value in outputs.items():
                    rows[name][row] = values[value]
                state = {name: values[value].expand_as(state[name]) for name, value in new.items()}
            for name, each in state.items():
                final[name].append(each)
        return {
            **{
                f"output {name}": torch.cat(
                    [each.expand(1, each.shape[-1]) for _, each in sorted(by_row.items())]
                )
                for name, by_row in rows.items()
            },
            **{f"final {name}": torch.cat(each) for name, each in final.items()},
        }


def by_stepping(given: Problem) -> Named:
    """Results and gradients of everything, with autograd through single steps."""
    sources = {name: leaf(each) for name, each in given.sources().items()}
    own = given.at(sources)
    results = OneByOne(own).results(own.start, own.inputs, own.parameters)
    return {**results, **gradients(loss_of(results), sources)}


def by_kernel(given: Problem, kernel: Kernel) -> Named:
    sources = {name: leaf(each) for name, each in given.sources().items()}
    results = named_results(given.at(sources).run(kernel))
    return {**results, **gradients(loss_of(results), sources)}


def small(name: str, steps: Steps) -> Problem:
    return problem(CELLS[name], {"I": 3, "H": 5}, steps)


def check(given: Problem, kernel: Kernel) -> None:
    want, got = by_stepping(given), by_kernel(given, kernel)
    assert want.keys() == got.keys()
    for name, each in want.items():
        torch.testing.assert_close(got[name], each, **CLOSE, msg=partial(_named, name))


def _named(name: str, text: str) -> str:
    return f"{name}: {text}"


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("name", DELAYED)
def test_the_reference_is_what_steps_give(name: str, walk: str) -> None:
    given = small(name, WALKS[walk])
    check(given, ReferenceKernel(plan(given.program)))


@pytest.fixture(params=["one stretch", "a stretch for each step", "stretches of three rows"])
def stretches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"a stretch for each step": 1, "stretches of three rows": 3}.get(request.param)
    if rows:
        monkeypatch.setattr(share, "STRETCH_ROWS", rows)
        monkeypatch.setattr(share, "STRETCH_BYTES", 1)


@pytest.mark.usefixtures("stretches")
@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("name", DELAYED)
def test_machine_code_gives_what_steps_give(name: str, walk: str) -> None:
    given = small(name, WALKS[walk])
    check(given, LlvmKernel(plan(given.program), torch.float64))


@pytest.mark.parametrize("name", ["qrnn_fo", "window", "of_inputs"])
def test_start_states_have_gradients_where_inputs_have_none(name: str) -> None:
    given = small(name, WALKS["ragged"])
    wanted = [source for source in given.sources() if not source.startswith("input")]

    def found(kernel: Kernel) -> Named:
        sources = given.sources()
        sources |= {source: leaf(sources[source]) for source in wanted}
        results = named_results(given.at(sources).run(kernel))
        return gradients(loss_of(results), {source: sources[source] for source in wanted})

    want = by_stepping(given)
    for source, each in found(LlvmKernel(plan(given.program), torch.float64)).items():
        torch.testing.assert_close(each, want[source], **CLOSE)
