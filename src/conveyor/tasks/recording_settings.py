"""How recordings and what is said in them are read, in any task that has them."""

from dataclasses import dataclass

from conveyor.tasks.settings import DataSettings, check_split, option, seed_option, split_option
from conveyor.tasks.spoken_units import CHARACTERS, UNITS


@dataclass(frozen=True, kw_only=True)
class RecordingFiles(DataSettings):
    """Which recordings there are, and what they are split into."""

    audio: str | None = option(None, "The column of recordings; else by its name.")
    part: str | None = option(None, "The column that says train, validation or test.")
    rate: int | None = option(
        None,
        "Samples a second of the sound; else 8,000 or 16,000, by the recordings.",
        least=1000,
        most=96_000,
    )
    skip_broken: bool = option(False, "Leave out recordings that cannot be read, and name them.")
    split: tuple[float, ...] = split_option(
        (0.8, 0.1, 0.1), "Training/validation/test: fractions of what is not given in parts."
    )
    split_seed: int = seed_option(0, "The same seed draws the same parts.")

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_split(self.split, rows=False)


@dataclass(frozen=True, kw_only=True)
class RecordingData(RecordingFiles):
    """Which recordings there are, what is said in them, and what they are split into."""

    text: str | None = option(None, "The column of texts; else by its name.")
    speaker: str | None = option(None, "The column that says who speaks; else by its name.")
    unit: str = option(CHARACTERS, "What texts are spelled of.", choices=UNITS)
    lower: bool = option(True, "Small letters only.")
    bands: int = option(40, "Bands of frequency of a frame.", least=4, most=256)
