"""The settings that ``vrnn`` and ``storn`` share."""

from dataclasses import dataclass

from conveyor.tasks.settings import (
    DataSettings,
    Training,
    check_split,
    option,
    split_option,
)


@dataclass(frozen=True, kw_only=True)
class LatentDataSettings(DataSettings):
    """How sequences are read, and what they are split into."""

    split: tuple[float, ...] = split_option(
        (0.8, 0.1, 0.1),
        "Training/validation/test: fractions, where the data has no parts of its own.",
    )
    scored: int = option(
        1000, "Sequences that are validated, and that are tested, at most.", least=1
    )
    draws: int = option(
        50, "Draws of the latent values of a sequence, for the estimate of its nats.", least=1
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_split(self.split, rows=False)


@dataclass(frozen=True, kw_only=True)
class LatentTraining(Training):
    """How a network with latent values is fitted."""

    kl_warmup: int = option(
        0, "Steps over which the weight of the divergence rises from 0 to 1; 0 for none.", least=0
    )
    baseline: bool = option(True, "Fit a network without latent values beside it, as long at most.")
