"""Parts that networks are made of, and searches for what they write. Each part is a torch module
that stands in anyone's own code, and ``conveyor.save`` stores it."""

from conveyor.networks.attention import Attention
from conveyor.networks.attention_decoder import BahdanauDecoder, LuongDecoder
from conveyor.networks.beam_search import beam_search
from conveyor.networks.composed_words import ComposedWords
from conveyor.networks.crf import CRF, Transitions
from conveyor.networks.crf_stream import CRFStream
from conveyor.networks.embedding import Embedding
from conveyor.networks.encoder import Encoder
from conveyor.networks.encoder_decoder import EncoderDecoder
from conveyor.networks.noise import Noise
from conveyor.networks.output_heads import ClassHead, Head, LabelHead, NumberHead, QuantileHead
from conveyor.networks.pooling import AttentionPooling, pooled
from conveyor.networks.search import (
    Hypothesis,
    draw_tokens,
    greedy_search,
    sample,
    sampling_distribution,
    select_batch,
)
from conveyor.networks.word_embedding import WordEmbedding

__all__ = [
    "CRF",
    "Attention",
    "AttentionPooling",
    "BahdanauDecoder",
    "CRFStream",
    "ClassHead",
    "ComposedWords",
    "Embedding",
    "Encoder",
    "EncoderDecoder",
    "Head",
    "Hypothesis",
    "LabelHead",
    "LuongDecoder",
    "Noise",
    "NumberHead",
    "QuantileHead",
    "Transitions",
    "WordEmbedding",
    "beam_search",
    "draw_tokens",
    "greedy_search",
    "pooled",
    "sample",
    "sampling_distribution",
    "select_batch",
]
