"""Fits of a network of one weight on made-up examples, whose losses a test can write down."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from conveyor.networks.network import Loss
from conveyor.tasks.settings import Training
from conveyor.training.batches import loaders
from conveyor.training.checkpoints import find_resumed
from conveyor.training.fitter import Fitter
from conveyor.training.loop import Fitted, fit
from conveyor.training.stopping import StopRequest

EXAMPLES, VALIDATED = 5, 3


class Fake(nn.Module):
    """What a fit asks of a network besides its loss."""

    decided_by, step_weights = "loss", 1

    def optimizer(self, learning_rate: float) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=learning_rate)


class Tiny(Fake):
    """Learns future = 2 · history by one weight. ``calls`` are (training, gradients, the batch's
    histories) of every loss; ``losses`` are what validation gives, epoch by epoch, if anything;
    ``found`` how many of ten answers are right there, if that decides."""

    def __init__(
        self,
        dropout: float = 0.0,
        losses: list[float] | None = None,
        found: list[int] | None = None,
    ) -> None:
        super().__init__()
        self.found = found
        self.decided_by = "loss" if found is None else "accuracy"
        self.recurrent = nn.Linear(1, 1)
        self.dropout = nn.Dropout(dropout)
        self.losses = losses
        self.calls: list[tuple[bool, bool, list[float]]] = []
        self.validated: list[float] = []  # the weight at each validation

    def loss(self, batch: list[Tensor], state: Any = None) -> Loss:
        """The mean squared error."""
        history, future = batch
        self.calls.append((self.training, torch.is_grad_enabled(), history.flatten().tolist()))
        error: Tensor = self.recurrent(self.dropout(history)) - future
        if self.training:
            return Loss(error.square().mean(), len(history))
        self.validated.append(float(self.recurrent.weight.detach()))
        if self.losses is None:
            return Loss(error.square().mean(), len(history))
        number = len(self.validated) - 1
        found = None if self.found is None else torch.tensor([10, 10, self.found[number]])
        return Loss(torch.tensor(self.losses[number]), len(history), found=found)

    def trained(self) -> list[list[float]]:
        """The batches that were trained on, in order."""
        return [batch for training, _, batch in self.calls if training]


class Watched(Fitter):
    """Notes what the optimiser does: (rate, norm of the gradients that it is given)."""

    def __init__(self, model: Any, settings: Training, before: Callable[[int, int], None]) -> None:
        super().__init__(model, settings, "data")
        self.steps: list[tuple[float, float]] = []
        self.before = before
        self.adam: Any = None
        self.weights: list[float] = []  # the weight after each step

    def configure_optimizers(self) -> Any:
        """Ours, with an eye on its steps."""
        configured: Any = super().configure_optimizers()
        alone = isinstance(configured, torch.optim.Optimizer)
        self.adam = configured if alone else configured["optimizer"]

        def note(adam: Any, *arguments: Any) -> None:
            norms = [float(each.grad.norm()) for each in self.parameters() if each.grad is not None]
            self.steps.append((adam.param_groups[0]["lr"], math.hypot(*norms)))
            self.weights.append(float(self.model.get_parameter("recurrent.weight").detach()))

        self.adam.register_step_post_hook(note)  # Lightning works them out inside the step
        return configured

    def on_train_batch_start(self, batch: Any, number: int) -> None:
        """Tell the test: epochs and batches count from 0."""
        self.before(self.current_epoch, number)


def nothing(epoch: int, batch: int) -> None:
    """Let the batch begin."""


class Killed(BaseException):
    """The process ends here."""


def kill_at(at: tuple[int, int]) -> Callable[[int, int], None]:
    """Ends a fit when that batch of that epoch begins; both from 0."""

    def before(epoch: int, batch: int) -> None:
        if (epoch, batch) == at:
            raise Killed

    return before


def examples(count: int) -> TensorDataset:
    """Histories 1, 2, 3, ... and twice as much as their futures."""
    history = torch.arange(1.0, count + 1).unsqueeze(1)
    return TensorDataset(history, 2 * history)


def parts(train: Any, validation: Any, *, in_order: bool = False) -> Any:
    """Return what a task holds of its examples."""
    return SimpleNamespace(
        train=train,
        validation=validation,
        largest_batch=None,
        in_order=in_order,
        join=None,
        lengths=None,
        usual_steps=None,
        most_drawn=None,
    )


def fit_tiny(
    folder: Path,
    model: Tiny,
    *,
    before: Callable[[int, int], None] = nothing,
    resume: bool = False,
    said: list[str] | None = None,
    trial: bool = False,
    request: StopRequest | None = None,
    validated: int = VALIDATED,
    kind: type[Training] = Training,
    **training: Any,
) -> tuple[Fitted, Watched]:
    """Fit it: batches of 2 of 5 examples, unless something else is given."""
    settings = kind(**{"epochs": 4, "batch": 2, "learning_rate": 0.1, **training})
    fitter = Watched(model, settings, before)
    say = (said if said is not None else []).append
    torch.manual_seed(settings.seed)
    with torch.no_grad():
        model.recurrent.weight.fill_(0.5)
        model.recurrent.bias.fill_(0.0)
    resumed = find_resumed(folder, fitter, say) if resume else None
    batches = loaders(parts(examples(EXAMPLES), examples(validated)), settings)
    fitted = fit(fitter, batches, folder, resumed=resumed, say=say, trial=trial, request=request)
    return fitted, fitter
