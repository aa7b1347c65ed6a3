"""Parts that networks are made of. Each is a torch module that stands in anyone's own code, and
``conveyor.save`` stores it."""

from conveyor.networks.crf import CRF, Transitions
from conveyor.networks.embedding import Embedding
from conveyor.networks.encoder import Encoder
from conveyor.networks.output_heads import ClassHead, Head, LabelHead, NumberHead, QuantileHead
from conveyor.networks.pooling import pooled

__all__ = [
    "CRF",
    "ClassHead",
    "Embedding",
    "Encoder",
    "Head",
    "LabelHead",
    "NumberHead",
    "QuantileHead",
    "Transitions",
    "pooled",
]
