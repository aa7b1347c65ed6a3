"""The settings of the task ``pronounce``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.pairs.pair_settings import PairData, PairNetwork, PairTraining
from conveyor.tasks.settings import TaskSettings, option


@dataclass(frozen=True, kw_only=True)
class PronounceData(PairData):
    """A dictionary of pronunciations. All pronunciations of a word are in one part."""

    stress: bool = option(False, "Learn the digits of stress, too: AH0, AH1.")


@dataclass(frozen=True, kw_only=True)
class PronounceNetwork(PairNetwork):
    """The network that reads letters and writes phonemes. Dropout is also on the vectors of both,
    and before each phoneme that is written."""


@dataclass(frozen=True, kw_only=True)
class PronounceTraining(PairTraining):
    """How the network is fitted. Adam's learning rate rises over the first steps and then falls
    along a line, to 0 after the last epoch."""


@dataclass(frozen=True, kw_only=True)
class PronounceSettings(TaskSettings):
    """All settings of a run of the task ``pronounce``."""

    task: ClassVar[str] = "pronounce"

    data: PronounceData = PronounceData()
    network: PronounceNetwork = PronounceNetwork(hidden=192, embedding=64, dropout=0.2)
    training: PronounceTraining = PronounceTraining(batch=64, learning_rate=2e-3, patience=4)
