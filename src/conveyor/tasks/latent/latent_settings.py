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
class SampledData(DataSettings):
    """What data with latent values is split into, and how much of it is scored."""

    split: tuple[float, ...] = split_option(
        (0.8, 0.1, 0.1),
        "Training/validation/test: fractions, where the data has no parts of its own.",
    )
    side: int | None = option(
        None,
        "Rows and columns that pictures of a folder are resized to; else 28.",
        least=2,
        most=512,
    )
    scored: int = option(
        1000, "Sequences that are validated, and that are tested, at most.", least=1
    )
    latent_draws: int = option(
        50, "Draws of the latent values of a sequence, for the estimate of its nats.", least=1
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_split(self.split, rows=False)

    def parts_of(self, count: int) -> tuple[int, int, int]:
        """Return how many of three or more things train, validate and test, each one or more; of
        fewer things none do."""
        if count < 3:
            return 0, 0, 0
        test, validation = (max(round(count * self.split[place]), 1) for place in (2, 1))
        train = max(count - validation - test, 1)
        validation = max(min(validation, count - train - 1), 1)
        return train, validation, count - train - validation


@dataclass(frozen=True, kw_only=True)
class LatentDataSettings(SampledData):
    """How sequences are read, and what they are split into."""

    colours: bool = option(False, "Learn the colours of pictures; else they are read in grey.")
    stretch: float = option(
        1.0, "What x of strokes is multiplied by, where x and y have other units.", above=0
    )
    thin: int = option(1, "Keep every so many-th point of a stroke, and its end.", least=1)
    values: tuple[str, ...] = option(
        (), "A column of a table that is learned; may be repeated; else all that hold numbers."
    )
    rows: int = option(50, "Rows of a table that are a sequence.", least=2)


@dataclass(frozen=True, kw_only=True)
class WarmedDivergence(Training):
    """How a network with latent values is fitted."""

    kl_warmup: int = option(
        0, "Steps over which the weight of the divergence rises from 0 to 1; 0 for none.", least=0
    )


@dataclass(frozen=True, kw_only=True)
class LatentTraining(WarmedDivergence):
    """How a network with latent values is fitted, beside one without them."""

    plain: bool = option(True, "Fit a network without latent values beside it, as long at most.")
