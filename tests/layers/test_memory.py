"""Cells that look at a memory, as layers: every law of layers.

The oracles are loops over steps, sequences and places in plain torch, written from the papers.
"""

import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import conveyor
from conveyor import Places, Recurrent
from conveyor.cells import (
    Cell,
    Input,
    Matrix,
    Memory,
    State,
    Value,
    bahdanau,
    cell,
    graves_window,
    luong,
    mean,
    normalise,
    places,
    softmax,
    tanh,
    total,
)
from conveyor.errors import SettingError, ShapeError, TargetError
from conveyor.networks.attention import Attention
from conveyor.networks.attention_decoder import BahdanauDecoder
from tests.layers.named import draw

T, B, L, X, D, H, A, K = 6, 4, 5, 3, 4, 5, 6, 2
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-11}
LENGTHS = [6, 2, 0, 4]
PLACES = [3, 5, 1, 4]

# One step of one sequence: the outputs, the new states in the cell's order, and the weights.
Step = Callable[
    [Mapping[str, Tensor], Tensor, list[Tensor], Tensor],
    tuple[tuple[Tensor, ...], list[Tensor], Tensor],
]


def _weighted(weights: list[Tensor], memory: Tensor) -> Tensor:
    """Σ_j a_j m_j, place by place."""
    return sum((a * m for a, m in zip(weights, memory, strict=True)), torch.zeros_like(memory[0]))


def _softmax(scores: list[Tensor]) -> list[Tensor]:
    powers = [score.exp() for score in scores]
    return [power / sum(powers) for power in powers]


def bahdanau_step(p: Mapping[str, Tensor], y: Tensor, states: list[Tensor], memory: Tensor) -> Any:
    """Bahdanau, Cho & Bengio 2015, appendix A.2.2."""
    (s,) = states
    scores = [p["v"] @ (p["W_a"] @ s + p["U_a"] @ place).tanh() for place in memory]
    a = _softmax(scores)
    c = _weighted(a, memory)
    r = (p["W.r"] @ y + p["U.r"] @ s + p["C.r"] @ c + p["b.r"]).sigmoid()
    z = (p["W.z"] @ y + p["U.z"] @ s + p["C.z"] @ c + p["b.z"]).sigmoid()
    n = (p["W.n"] @ y + p["U.n"] @ (r * s) + p["C.n"] @ c + p["b.n"]).tanh()
    new = (1 - z) * s + z * n
    return (new, c), [new], torch.stack(a)


def _lstm(p: Mapping[str, Tensor], x: Tensor, read: Tensor, h: Tensor, c: Tensor) -> Any:
    def net(gate: str) -> Tensor:
        return p[f"W.{gate}"] @ x + p[f"V.{gate}"] @ read + p[f"U.{gate}"] @ h + p[f"b.{gate}"]

    c = net("f").sigmoid() * c + net("i").sigmoid() * net("g").tanh()
    return net("o").sigmoid() * c.tanh(), c


def luong_step(p: Mapping[str, Tensor], y: Tensor, states: list[Tensor], memory: Tensor) -> Any:
    """Luong, Pham & Manning 2015, equations 5 to 8 and section 3.3."""
    q, h, c = states
    h, c = _lstm(p, y, q, h, c)
    a = _softmax([(p["W_a"] @ h) @ place for place in memory])
    q = (p["W_c"] @ _weighted(a, memory) + p["W_q"] @ h).tanh()
    return (q,), [q, h, c], torch.stack(a)


def graves_step(p: Mapping[str, Tensor], x: Tensor, states: list[Tensor], memory: Tensor) -> Any:
    """Graves 2013, equations 7 to 11 and 46 to 51."""
    h, c, k, w = states

    def net(gate: str) -> Tensor:
        return p[f"W.{gate}"] @ x + p[f"V.{gate}"] @ w + p[f"U.{gate}"] @ h + p[f"b.{gate}"]

    kept = (net("f") + p["p.f"] * c).sigmoid() * c
    new = kept + (net("i") + p["p.i"] * c).sigmoid() * net("g").tanh()
    h, c = (net("o") + p["p.o"] * new).sigmoid() * new.tanh(), new
    height = (p["P.height"] @ h + p["d.height"]).exp()
    width = (p["P.width"] @ h + p["d.width"]).exp()
    k = k + (p["P.k"] @ h + p["d.k"]).exp()
    phi = [
        (height * torch.exp(-width * (k - place) ** 2)).sum() for place in range(1, len(memory) + 1)
    ]
    w = _weighted(phi, memory)
    return (h, w), [h, c, k, w], torch.stack(phi)


CASES: dict[str, tuple[Cell, Step, dict[str, int], tuple[int, ...]]] = {
    "bahdanau": (bahdanau, bahdanau_step, {"A": A}, (H,)),
    "luong": (luong, luong_step, {}, (H, H, H)),
    "graves_window": (graves_window, graves_step, {"K": K}, (H, H, K, D)),
}
each_case = pytest.mark.parametrize("name", list(CASES))


def make(name: str, layers: int = 1, **options: Any) -> Recurrent:
    """A layer with random numbers everywhere."""
    of, _, sizes, _ = CASES[name]
    main = of.leaves[0].name
    layer = Recurrent(
        of, {main: X, "memory": D}, H, layers, sizes=sizes, dtype=torch.float64, **options
    )
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=seed) / parameter.shape[-1] ** 0.5)
    return layer


def given() -> tuple[Tensor, Tensor]:
    """An input and a memory."""
    x = draw(T, B, X, seed=50).requires_grad_()
    return x, draw(L, B, D, seed=51).requires_grad_()


def call(layer: Recurrent, x: Any, memory: Any, **more: Any) -> Any:
    main = next(iter(layer.input_size))
    return layer({main: x, "memory": memory}, **more)


def all_outputs(outputs: Any) -> tuple[Tensor, ...]:
    return tuple(outputs) if isinstance(outputs, tuple) else (outputs,)


def by_hand(
    name: str,
    layer: Recurrent,
    x: Tensor,
    memory: Tensor,
    *,
    counts: list[int],
    lengths: list[int],
    reset: Tensor | None = None,
    prefix: str = "l0.",
    backwards: bool = False,
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Outputs, final states and weights, sequence by sequence, of one layer in one direction."""
    _, step, _, widths = CASES[name]
    p = {n.removeprefix(prefix): v for n, v in layer.named_parameters() if n.startswith(prefix)}
    batch, longest = x.shape[1], memory.shape[0]
    rows: dict[tuple[int, int], tuple[Tensor, ...]] = {}
    seen: dict[tuple[int, int], Tensor] = {}
    finals = []
    for b in range(batch):
        states = [x.new_zeros(width) for width in widths]
        order = range(lengths[b])
        for t in reversed(order) if backwards else order:
            if reset is not None and reset[t, b] and not backwards:
                states = [x.new_zeros(width) for width in widths]
            rows[t, b], states, seen[t, b] = step(p, x[t, b], states, memory[: counts[b], b])
            if reset is not None and reset[t, b] and backwards and t > 0:
                states = [x.new_zeros(width) for width in widths]
        finals.append(states)
    some = next(iter(rows.values()))
    outputs = [
        torch.stack(
            [
                torch.stack([rows[t, b][n] if (t, b) in rows else 0 * one for b in range(batch)])
                for t in range(len(x))
            ]
        )
        for n, one in enumerate(some)
    ]
    weights = x.new_zeros(len(x), batch, longest)
    for (t, b), values in seen.items():
        weights[t, b, : len(values)] = values.detach()
    return outputs, [torch.stack(each) for each in zip(*finals, strict=True)], weights


def same(
    layer: Recurrent, tensors: list[Tensor], results: list[Tensor], expected: list[Tensor]
) -> None:
    """Values and all gradients."""
    torch.testing.assert_close(results, expected, **CLOSE)
    factors = [draw(*each.shape, seed=90 + n) for n, each in enumerate(expected)]
    sources = [*tensors, *layer.parameters()]

    def gradients(values: list[Tensor]) -> list[Tensor]:
        loss = sum((v * f).sum() for v, f in zip(values, factors, strict=True))
        assert isinstance(loss, Tensor)
        return list(torch.autograd.grad(loss, sources))

    torch.testing.assert_close(gradients(results), gradients(expected), **CLOSE)


@each_case
def test_it_computes_what_the_paper_says(name: str) -> None:
    layer, (x, memory) = make(name), given()
    outputs, state, trace = call(layer, x, memory, trace=True)
    expected, final, weights = by_hand(name, layer, x, memory, counts=[L] * B, lengths=[T] * B)
    results = [*all_outputs(outputs), *[each[0] for each in state]]
    same(layer, [x, memory], results, [*expected, *final])
    torch.testing.assert_close(trace["a"].detach(), weights, **CLOSE)


@each_case
@pytest.mark.parametrize("checkpoint", [False, 2])
def test_lengths_of_both(name: str, checkpoint: int) -> None:
    layer, (x, memory) = make(name, checkpoint=checkpoint), given()
    outputs, state = call(layer, x, Places(memory, PLACES), lengths=LENGTHS)
    expected, final, _ = by_hand(name, layer, x, memory, counts=PLACES, lengths=LENGTHS)
    same(
        layer, [x, memory], [*all_outputs(outputs), *[each[0] for each in state]], expected + final
    )


@each_case
@pytest.mark.parametrize("checkpoint", [False, True])
def test_resets(name: str, checkpoint: bool) -> None:
    layer, (x, memory) = make(name, checkpoint=checkpoint), given()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 0] = reset[3, 3] = reset[1, 1] = True
    lengths = [6, 2, 6, 4]
    outputs, state = call(layer, x, Places(memory, PLACES), lengths=lengths, reset=reset)
    expected, final, _ = by_hand(
        name, layer, x, memory, counts=PLACES, lengths=lengths, reset=reset
    )
    same(
        layer, [x, memory], [*all_outputs(outputs), *[each[0] for each in state]], expected + final
    )


@each_case
def test_both_directions(name: str) -> None:
    layer, (x, memory) = make(name, bidirectional=True), given()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 0] = reset[3, 3] = True
    outputs, state = call(layer, x, Places(memory, PLACES), lengths=LENGTHS, reset=reset)
    parts = [
        by_hand(
            name,
            layer,
            x,
            memory,
            counts=PLACES,
            lengths=LENGTHS,
            reset=reset,
            prefix=prefix,
            backwards=backwards,
        )
        for prefix, backwards in (("l0.", False), ("l0_reverse.", True))
    ]
    expected = [torch.cat(both, -1) for both in zip(parts[0][0], parts[1][0], strict=True)]
    final = [torch.stack(both) for both in zip(parts[0][1], parts[1][1], strict=True)]
    same(layer, [x, memory], [*all_outputs(outputs), *state], expected + final)


def test_every_layer_looks_at_the_memory() -> None:
    layer, (x, memory) = make("bahdanau", 2), given()
    outputs, state = call(layer, x, Places(memory, PLACES), lengths=LENGTHS)
    below, first, _ = by_hand("bahdanau", layer, x, memory, counts=PLACES, lengths=LENGTHS)
    above, second, _ = by_hand(
        "bahdanau", layer, below[0], memory, counts=PLACES, lengths=LENGTHS, prefix="l1."
    )
    same(layer, [x, memory], [*outputs, state.s], [*above, torch.stack([first[0], second[0]])])


@each_case
def test_packed_sequences_look_at_their_own_memory(name: str) -> None:
    layer, (x, memory) = make(name), given()
    lengths = torch.tensor([2, 6, 1, 4])
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    outputs, state = call(layer, packed, Places(memory, PLACES))
    padded = [pad_packed_sequence(each)[0] for each in ([outputs] if name == "luong" else outputs)]
    expected, final, _ = by_hand(name, layer, x, memory, counts=PLACES, lengths=lengths.tolist())
    same(layer, [x, memory], [*padded, *[each[0] for each in state]], expected + final)


@each_case
def test_step_by_step(name: str) -> None:
    layer, (x, memory) = make(name), given()
    whole, final = call(layer, x, Places(memory, PLACES))
    main = next(iter(layer.input_size))
    state: Any = None
    steps = []
    for row in x:
        output, state = layer.step({main: row, "memory": Places(memory, PLACES)}, state)
        steps.append(all_outputs(output))
    for n, output in enumerate(all_outputs(whole)):
        torch.testing.assert_close(torch.stack([step[n] for step in steps]), output, **CLOSE)
    torch.testing.assert_close(tuple(state), tuple(final), **CLOSE)


@each_case
def test_what_stands_at_padding_changes_no_bit(name: str) -> None:
    layer, (x, memory) = make(name), given()
    outputs, state, trace = call(layer, x, Places(memory, PLACES), trace=True)
    other = memory.detach().clone()
    for b, count in enumerate(PLACES):
        other[count:, b] = math.nan
    longer = torch.cat([other, torch.full((7, B, D), math.inf, dtype=torch.float64)])
    longer.requires_grad_()
    again, after, traced = call(layer, x, Places(longer, PLACES), trace=True)
    for one, two in zip(
        (*all_outputs(outputs), *state), (*all_outputs(again), *after), strict=True
    ):
        assert torch.equal(one, two)
    assert torch.equal(trace["a"], traced["a"][..., :L])
    for b, count in enumerate(PLACES):
        assert (traced["a"][:, b, count:] == 0).all()
    total_of_all = torch.stack([each.sum() for each in all_outputs(again)]).sum()
    (gradient,) = torch.autograd.grad(total_of_all, longer)
    assert gradient.isfinite().all()
    for b, count in enumerate(PLACES):
        assert (gradient[count:, b] == 0).all()
        assert (gradient[:count, b] != 0).any()


@each_case
def test_layouts(name: str) -> None:
    """With batches first, and of one sequence without a batch."""
    layer, (x, memory) = make(name), given()
    first = make(name, batch_first=True)
    whole = all_outputs(call(layer, x, Places(memory, PLACES))[0])
    turned = call(first, x.transpose(0, 1), Places(memory.transpose(0, 1), PLACES))[0]
    for one, two in zip(whole, all_outputs(turned), strict=True):
        assert torch.equal(one, two.transpose(0, 1))
    alone = all_outputs(call(layer, x[:, 1], memory[:, 1])[0])
    short = all_outputs(call(layer, x[:, 0], Places(memory[:, 0], [PLACES[0]]))[0])
    for one, two, three in zip(whole, alone, short, strict=True):
        torch.testing.assert_close(one[:, 1], two, **CLOSE)
        torch.testing.assert_close(one[:, 0], three, **CLOSE)


def test_the_decoder_of_networks_computes_the_same() -> None:
    """``BahdanauDecoder`` steps a GRU and an attention that were written by themselves."""
    layer, (x, memory) = make("bahdanau"), given()
    own = dict(layer.named_parameters())
    gru = Recurrent("gru_reset_before", X + D, H, dtype=torch.float64)
    attention = Attention(H, D, "concat", width=A).double()
    decoder = BahdanauDecoder(gru, nn.Embedding(3, X).double(), attention)
    parts = dict(gru.named_parameters())
    with torch.no_grad():
        attention.of_query.weight.copy_(own["l0.W_a"])
        attention.of_memory.weight.copy_(own["l0.U_a"])
        attention.v.copy_(own["l0.v"])
        # The GRU keeps z of the old state, the paper 1 - z: the gate of the opposite numbers.
        for gate, sign in (("r", 1), ("z", -1), ("n", 1)):
            joined = torch.cat([own[f"l0.W.{gate}"], own[f"l0.C.{gate}"]], 1)
            parts[f"l0.W.{gate}"].copy_(sign * joined)
            parts[f"l0.U.{gate}"].copy_(sign * own[f"l0.U.{gate}"])
            parts[f"l0.b.{gate}"].copy_(sign * own[f"l0.b.{gate}"])
    outputs, _, trace = call(layer, x, Places(memory, PLACES), trace=True)
    state = decoder.begin(memory, lengths=PLACES)
    for t in range(T):
        _, state = decoder._one_step(x[t], state)
        torch.testing.assert_close(state.fed[0], outputs.s[t], **CLOSE)
        torch.testing.assert_close(state.weights[0], trace["a"][t], **CLOSE)


def test_gradients_arrive_at_the_trace() -> None:
    layer, (x, memory) = make("bahdanau"), given()
    outputs, _, trace = call(layer, x, Places(memory, PLACES), lengths=LENGTHS, trace="gradient")
    plain, _ = call(layer, x, Places(memory, PLACES), lengths=LENGTHS)
    assert torch.equal(outputs.s, plain.s)
    factor = draw(T, B, H, seed=3)
    (of_c, of_a) = torch.autograd.grad((outputs.s * factor).sum(), [trace["c"], trace["a"]])
    # c reaches the loss on its way through the state; a through c alone.
    torch.testing.assert_close(of_a, torch.einsum("tbd,lbd->tbl", of_c, memory) * _there(), **CLOSE)


@pytest.mark.parametrize("trace", [True, "gradient"])
@pytest.mark.parametrize("target", ["reference", "llvm"])
@pytest.mark.parametrize("steps", [0, T])
def test_a_trace_of_no_steps(steps: int, target: str, trace: Any) -> None:
    """No row is run: there are no steps, or all sequences are empty."""
    layer, (x, memory) = make("bahdanau"), given()
    with conveyor.use_target(target):
        places = Places(memory, PLACES)
        _, _, seen = call(layer, x[:steps], places, lengths=[0] * B, trace=trace)
    assert seen["a"].shape == (steps, B, L)
    assert seen["c"].shape == (steps, B, D)
    assert (seen["a"] == 0).all()


def _there() -> Tensor:
    """1 at places that sequences have, of steps that they have, [T, B, L]."""
    steps = torch.arange(T)[:, None] < torch.tensor(LENGTHS)
    true = torch.arange(L) < torch.tensor(PLACES)[:, None]
    return (steps.unsqueeze(-1) & true).double()


def test_gradients_of_gradients() -> None:
    layer, (x, memory) = make("bahdanau"), given()

    def of(x: Tensor, memory: Tensor) -> Tensor:
        outputs: Tensor = call(layer, x, Places(memory, [2, 1]))[0].s
        return outputs

    few = [each.detach()[:2, :2].requires_grad_() for each in (x, memory)]
    torch.autograd.gradgradcheck(of, few, atol=1e-6)


@cell
def over_places(x: Input, h: State, memory: Memory, W: Matrix, U: Matrix) -> tuple[Value, Value]:
    """All that can be said of the places themselves."""
    scores = total(U @ memory * h)
    counted = mean(scores) + total(scores)
    alike = normalise(scores)
    h = tanh(W @ x + softmax(alike + places(memory)) @ (U @ memory) + 0.1 * counted)
    return h, h


def test_sums_over_places_are_of_those_that_are_there() -> None:
    layer = Recurrent(over_places, {"x": X, "memory": D}, H, dtype=torch.float64)
    (x, memory), own = given(), dict(layer.named_parameters())
    output, _ = layer({"x": x, "memory": Places(memory, PLACES)})
    for b, count in enumerate(PLACES):
        h = torch.zeros(H, dtype=torch.float64)
        of_places = memory[:count, b] @ own["l0.U"].T
        for t in range(T):
            scores = of_places @ h
            deviation = ((scores - scores.mean()) ** 2).mean() + 1e-5
            alike = (scores - scores.mean()) / deviation.sqrt()
            a = (alike + torch.arange(count)).softmax(0)
            counted = scores.mean() + scores.sum()
            h = (own["l0.W"] @ x[t, b] + a @ of_places + 0.1 * counted).tanh()
            torch.testing.assert_close(output[t, b], h, **CLOSE)


@cell
def of_two(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    h: State,
    keys: Annotated[Memory, "L", "H"],
    values: Annotated[Memory, "L", "E"],
    W: Matrix,
    V: Matrix,
) -> Value:
    """Keys and values apart, and what is the same at all steps."""
    fixed = softmax(total(keys * keys)) @ values
    return tanh(W @ x + V.a @ (softmax(total(keys * h)) @ values) + V.b @ fixed)


def test_two_memories_of_the_same_places() -> None:
    layer = Recurrent(of_two, {"x": X, "keys": H, "values": D}, H, dtype=torch.float64)
    x, _ = given()
    keys, values = draw(L, B, H, seed=1), draw(L, B, D, seed=2)
    own = dict(layer.named_parameters())
    output, _ = layer({"x": x, "keys": Places(keys, PLACES), "values": Places(values, PLACES)})
    for b, count in enumerate(PLACES):
        k, v, h = keys[:count, b], values[:count, b], torch.zeros(H, dtype=torch.float64)
        fixed = (k * k).sum(1).softmax(0) @ v
        for t in range(T):
            seen = own["l0.V.a"] @ ((k @ h).softmax(0) @ v) + own["l0.V.b"] @ fixed
            h = (own["l0.W"] @ x[t, b] + seen).tanh()
            torch.testing.assert_close(output[t, b], h, **CLOSE)
    with pytest.raises(ShapeError, match="keys and values have different places"):
        layer({"x": x, "keys": Places(keys, PLACES), "values": values})


def test_copies_and_files(tmp_path: Path) -> None:
    layer, (x, memory) = make("bahdanau"), given()
    expected = call(layer, x, Places(memory, PLACES))[0]
    conveyor.save(layer, tmp_path)
    for other in (pickle.loads(pickle.dumps(layer)), conveyor.load(tmp_path)):
        assert torch.equal(call(other, x, Places(memory, PLACES))[0].s, expected.s)


def test_regularisers_and_start_states() -> None:
    layer, (x, memory) = make("bahdanau", zoneout=0.3, learn_start=True), given()
    layer.eval()
    own = dict(layer.named_parameters())
    with torch.no_grad():
        own["start_s"].copy_(draw(1, H, seed=7))
    outputs, _ = call(layer, x[:1], memory)
    p = {n.removeprefix("l0."): v for n, v in layer.named_parameters()}
    for b in range(B):
        before = own["start_s"][0]
        (new, _), _, _ = bahdanau_step(p, x[0, b], [before], memory[:, b])
        torch.testing.assert_close(outputs.s[0, b], 0.3 * before + 0.7 * new, **CLOSE)


def test_under_torch_func() -> None:
    layer, (x, memory) = make("bahdanau"), given()
    own: dict[str, Tensor] = dict(layer.named_parameters())

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        inputs = {"y": x, "memory": Places(memory, PLACES)}
        outputs, _ = torch.func.functional_call(layer, parameters, (inputs,), {"lengths": LENGTHS})
        total: Tensor = outputs.s.sum()
        return total

    of_func = torch.func.grad(loss)(own)
    of_autograd = torch.autograd.grad(loss(own), list(own.values()))
    torch.testing.assert_close(tuple(of_func.values()), of_autograd, **CLOSE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_small_numbers(dtype: torch.dtype) -> None:
    """What is below every score is below what such numbers hold."""
    layer, (x, memory) = make("bahdanau").to(dtype), given()
    outputs, _, trace = call(layer, x.to(dtype), Places(memory.to(dtype), PLACES), trace=True)
    exact, _ = call(make("bahdanau"), x, Places(memory, PLACES))
    torch.testing.assert_close(outputs.s.double(), exact.s, rtol=0.1, atol=0.1)
    assert (trace["a"][:, 0, PLACES[0] :] == 0).all()


@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning")
def test_it_is_exported_for_one_length() -> None:
    layer, (x, memory) = make("bahdanau"), given()

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            outputs: Tensor = call(self.layer, x, memory)[0].s
            return outputs

    exported = torch.export.export(Model(), (x, memory)).module()
    torch.testing.assert_close(exported(x, memory), Model()(x, memory), **CLOSE)


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
def test_under_torch_compile_it_runs_uncompiled() -> None:
    layer, (x, memory) = make("bahdanau"), given()
    compiled = torch.compile(lambda x, memory: call(layer, x, memory)[0].s)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x, memory), call(layer, x, memory)[0].s, **CLOSE)


def test_what_such_a_layer_lacks_is_said() -> None:
    layer, (x, memory) = make("bahdanau"), given()
    for lacking in (layer.stream, layer.numpy):
        with pytest.raises(TargetError, match="looks at a memory, and layers of such cells have"):
            lacking()
    text = layer.explain({"y": x, "memory": memory})
    assert "target: llvm" in text
    kept = 5 * H + A + D + X + 2 * L + 1
    assert f"kept for the backward pass: {8 * kept * T * B:,} bytes by the plan\n" in text
    once, each = A * D * L * B, (A * H + 3 * D * H + D * L + 3 * H * H + 3 * H * X) * T * B
    assert f"{once + each:,} multiply-adds" in text
    with pytest.raises(SettingError, match="looks at a memory"):
        make("bahdanau", 2, dilation=2)


@pytest.mark.parametrize(
    ("memory", "says"),
    [
        (None, "the input has no memory"),
        (draw(L, B, D + 1), r"expected 4 sequences of 4 features"),
        (draw(L, B + 1, D), r"expected 4 sequences of 4 features"),
        (draw(B, D), "has 2 dimensions; expected 3"),
        (draw(0, B, D), "has no place"),
        (draw(L, B, D).float(), "memory is of torch.float32"),
        (Places(draw(L, B, D), [1, 0, 2, 3]), "sequence 1 has no place to look at"),
        (
            Places(draw(L, B, D), [1, 9, 2, 3]),
            "lengths of memory go from 1 to 9; it has 5 places, so expected 1 to 5",
        ),
        (Places(draw(L, B, D), [1, -2, 2, 3]), "lengths of memory go from -2 to 3; .* 1 to 5"),
        (Places(draw(L, B, D), [1, 2]), r"lengths of memory are \[2\] of .*; expected \[4\]"),
        ([[1.0]], "memory is a list"),
    ],
)
def test_what_does_not_fit_is_said(memory: Any, says: str) -> None:
    layer, (x, _) = make("bahdanau"), given()
    inputs = {"y": x} if memory is None else {"y": x, "memory": memory}
    with pytest.raises(ShapeError, match=says):
        layer(inputs)
    with pytest.raises(ShapeError):
        layer.step({**inputs, "y": x[0]})


def test_sizes_that_do_not_fit_are_said() -> None:
    with pytest.raises(SettingError, match="reads y, memory"):
        Recurrent(bahdanau, X, H, sizes={"A": A})
    with pytest.raises(SettingError, match="names y; bahdanau reads y, memory"):
        Recurrent(bahdanau, {"y": X}, H, sizes={"A": A})
    with pytest.raises(SettingError, match="needs sizes of: A; got: nothing"):
        Recurrent(bahdanau, {"y": X, "memory": D}, H)
