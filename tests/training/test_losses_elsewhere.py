"""Every task's network is fitted on a device that is not the CPU: its losses, its gradients and a
step of its optimiser, as on the CPU."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from conveyor.tasks.task_registry import TASKS
from conveyor.training.fitter import Fitter
from tests.other_device import on_cpu, on_other_device, other_device
from tests.tasks.test_run import fit

# Both compute in float32, on the CPU with other sums: a compiled layer against the reference.
CLOSE: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-5}


# Settings that change what a loss is made of, besides those that are usual.
OTHERWISE: list[tuple[str, dict[str, Any]]] = [
    ("forecast", {"loss": "mse"}),
    ("forecast", {"es_rnn": True, "history": 14}),
    ("text", {"tied": True, "hidden": 4, "locked_dropout": True, "weight_dropout": 0.2,
              "word_dropout": 0.2, "activation_penalty": 1.0, "change_penalty": 1.0}),
    ("classify", {"balance": True, "pooling": "attention", "word_dropout": 0.2}),
    ("tag", {"crf": False, "word_dropout": 0.2}),
    ("words", {"model": "cbow"}),
    ("translate", {"attention": "bahdanau", "smoothing": 0.1}),
    ("chat", {"blind": 0.5}),
    ("transcribe", {"bidirectional": False, "centre": True}),
    ("transcribe", {"attention": "location", "joint": 0.3}),
    ("write", {"texts": False}),
    ("caption", {"attention": "hard", "coverage_form": "code"}),
    ("vrnn", {"kl_warmup": 5}),
    ("draw", {"windows": False}),
]  # fmt: skip


class _FitBegins(BaseException):
    """All is prepared."""


def begun(
    task: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> tuple[Fitter, Any]:
    """Return what a fit begins with: its network, and the loaders of its batches."""
    begins: list[Any] = []

    def stop(fitter: Fitter, batches: Any, *_arguments: Any, **_options: Any) -> None:
        begins.extend((fitter, batches))
        raise _FitBegins

    monkeypatch.setattr("conveyor.training.fitting.fit", stop)
    with pytest.raises(_FitBegins):
        fit(task, folder, **settings)
    fitter, batches = begins
    return fitter, batches


def course(fitter: Fitter, shares: list[Any], last: Any) -> dict[str, Any]:
    """Return losses and gradients of two steps of training and one of validation."""
    network = fitter.model
    optimizer = network.optimizer(1e-3)
    course: dict[str, Any] = {}
    torch.manual_seed(3)
    network.train()
    for number, share in enumerate(shares):
        optimizer.zero_grad()
        fitter.on_train_batch_start(share, number)
        loss = fitter._loss(share, "train")
        loss.minimised.backward()  # type: ignore[no-untyped-call]
        course[f"loss {number}"] = loss.minimised.detach()
        for name, parameter in network.named_parameters():
            if number == 0 and parameter.grad is not None:
                gradient = parameter.grad
                course[name] = gradient.to_dense() if gradient.is_sparse else gradient.clone()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        fitter.validation_step(last, 0)
    course["validation"] = fitter._sums["val"]
    answer: dict[str, Any] = on_cpu(course)
    return answer


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize(
    ("task", "settings"),
    [*((entry.name, {}) for entry in TASKS), *OTHERWISE],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "usual",
)
def test_a_step_of_training_and_of_validation(
    task: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitter, (training, validation) = begun(task, tmp_path, monkeypatch, **settings)
    batches = iter(training)
    shares = [next(batches), next(batches, None) or next(iter(training))]
    last = next(iter(validation))
    twin = copy.deepcopy(fitter)
    expected = course(fitter, shares, last)
    with other_device():
        on_other_device(twin)
        there = course(twin, *on_other_device((shares, last)))
    assert there.keys() == expected.keys()
    torch.testing.assert_close(there, expected, **CLOSE)  # says which of them is not


def written(task: str, network: Any, batch: Any) -> Any:
    """Return what a network says of a batch, or writes."""
    network.eval()
    if task in ("translate", "pronounce", "chat"):
        sources = list(batch.sources.unbind(1))
        return [
            (each.tokens, each.log_probability)
            for best in network.hypotheses(sources, beam=2)
            for each in best
        ]
    if task == "classify":
        return network.log_probabilities([*batch.inputs.unbind(1), batch.inputs[:0, 0]])
    if task == "transcribe":
        frames = batch.frames
        return [*network.log_probabilities(list(frames.unbind(1))), network(frames)]
    if task == "text":
        vocabulary = network.vocabulary.symbols
        prompt = vocabulary[2] * 2
        drawn = "".join(network.generate(prompt, 5))
        return [vocabulary.index(symbol) for symbol in drawn], network.log_probabilities([prompt])
    if task == "speak":
        return network.speak(network.speller.labels[0] * 2, longest=6).frames
    if task == "write":
        return network.write(network.alphabet.characters[0], longest=4).movements
    if task == "caption":
        return [best[0].log_probability for best in network.hypotheses(batch.seen, beam=2)]
    if task == "sound":
        return network.nats(batch[1][:, 0].cpu().numpy().clip(max=255).astype("uint8"))
    return network.sample(2, 3, seed=1)


WRITERS = ("translate", "pronounce", "chat", "classify", "transcribe", "text", "speak", "write",
           "caption", "sound", "vrnn", "storn", "draw")  # fmt: skip


@pytest.mark.parametrize("task", WRITERS)
def test_what_networks_write(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitter, (_, validation) = begun(task, tmp_path, monkeypatch)
    network, batch = fitter.model, next(iter(validation)).batch
    with torch.no_grad():
        expected = written(task, network, batch)
        with other_device():
            there = on_cpu(written(task, on_other_device(network), on_other_device(batch)))
    torch.testing.assert_close(there, expected, rtol=1e-3, atol=1e-4)


def test_what_a_recogniser_writes_by_attention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: dict[str, Any] = {"attention": "location", "joint": 0.3}
    fitter, (_, validation) = begun("transcribe", tmp_path, monkeypatch, **looks)
    network: Any = fitter.model
    batch = next(iter(validation)).batch

    def written(network: Any, batch: Any) -> list[Any]:
        frames, labels = list(batch.frames.unbind(1)), list(batch.labels.unbind(1))
        heard = network.hear_several(frames, beam=3, n_best=2)
        return [
            [(each.labels, each.log_probability, each.looked) for best in heard for each in best],
            network.looked(frames, labels),
        ]

    with torch.no_grad():
        expected = written(network, batch)
        with other_device():
            there = on_cpu(written(on_other_device(network), on_other_device(batch)))
    torch.testing.assert_close(there, expected, rtol=1e-3, atol=1e-4)
