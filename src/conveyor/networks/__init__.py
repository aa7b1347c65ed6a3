"""Parts that networks are made of, and searches for what they write. Each part is a torch module
that stands in anyone's own code, and ``conveyor.save`` stores it."""

from conveyor.networks.attention import Attention
from conveyor.networks.attention_decoder import BahdanauDecoder, LuongDecoder
from conveyor.networks.beam_search import beam_search
from conveyor.networks.composed_words import ComposedWords
from conveyor.networks.crf import CRF, Transitions
from conveyor.networks.crf_stream import CRFStream
from conveyor.networks.ctc import best_path, collapse, ctc_alignment, ctc_loss
from conveyor.networks.density_heads import BernoulliHead, GaussianHead
from conveyor.networks.draw import DRAW, Bound, Drawing, Glimpses
from conveyor.networks.embedding import Embedding
from conveyor.networks.encoder import Encoder
from conveyor.networks.encoder_decoder import EncoderDecoder
from conveyor.networks.filter_bank import filter_bank
from conveyor.networks.frame_augmentation import FrameAugmentation
from conveyor.networks.griffin_lim import griffin_lim, spectral_convergence, wave_of
from conveyor.networks.latent_sequences import Drawn, LatentSequences
from conveyor.networks.log_mel import LogMel
from conveyor.networks.next_step import NextStep
from conveyor.networks.noise import Noise
from conveyor.networks.output_heads import ClassHead, Head, LabelHead, NumberHead, QuantileHead
from conveyor.networks.pen_head import PenHead, PenMixture
from conveyor.networks.picture_decoder import PictureDecoder
from conveyor.networks.picture_encoder import PictureEncoder
from conveyor.networks.picture_window import PictureWindow, WindowHead
from conveyor.networks.pooling import AttentionPooling, pooled
from conveyor.networks.pre_net import PreNet
from conveyor.networks.prefix_beam_search import Transcript, prefix_beam_search
from conveyor.networks.s2vt import S2VT
from conveyor.networks.search import (
    Hypothesis,
    draw_tokens,
    greedy_search,
    sample,
    sampling_distribution,
    select_batch,
)
from conveyor.networks.storn import STORN
from conveyor.networks.video_encoder import VideoEncoder
from conveyor.networks.vrnn import VRNN
from conveyor.networks.word_embedding import WordEmbedding

__all__ = [
    "CRF",
    "DRAW",
    "S2VT",
    "STORN",
    "VRNN",
    "Attention",
    "AttentionPooling",
    "BahdanauDecoder",
    "BernoulliHead",
    "Bound",
    "CRFStream",
    "ClassHead",
    "ComposedWords",
    "Drawing",
    "Drawn",
    "Embedding",
    "Encoder",
    "EncoderDecoder",
    "FrameAugmentation",
    "GaussianHead",
    "Glimpses",
    "Head",
    "Hypothesis",
    "LabelHead",
    "LatentSequences",
    "LogMel",
    "LuongDecoder",
    "NextStep",
    "Noise",
    "NumberHead",
    "PenHead",
    "PenMixture",
    "PictureDecoder",
    "PictureEncoder",
    "PictureWindow",
    "PreNet",
    "QuantileHead",
    "Transcript",
    "Transitions",
    "VideoEncoder",
    "WindowHead",
    "WordEmbedding",
    "beam_search",
    "best_path",
    "collapse",
    "ctc_alignment",
    "ctc_loss",
    "draw_tokens",
    "filter_bank",
    "greedy_search",
    "griffin_lim",
    "pooled",
    "prefix_beam_search",
    "sample",
    "sampling_distribution",
    "select_batch",
    "spectral_convergence",
    "wave_of",
]
