"""The classifier: a recurrent network that reads a text or a series and says what it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.padded import padded, padded_batches
from conveyor.data.records import fits, shown, to_record
from conveyor.data.word_vectors import WordVectors
from conveyor.errors import DataError, RunError, SettingError, did_you_mean
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.encoder import Encoder
from conveyor.networks.network import Loss, Network, Sizes, projection_of
from conveyor.networks.noise import Noise
from conveyor.networks.output_heads import ClassHead, Head, LabelHead
from conveyor.networks.pooling import AttentionPooling, Pooling
from conveyor.networks.saliency import integrated_gradients
from conveyor.networks.word_embedding import WordEmbedding
from conveyor.tasks.classify.class_examples import ClassBatch
from conveyor.tasks.classify.classify_settings import POOLINGS
from conveyor.tasks.classify.series_reader import SeriesReader
from conveyor.tasks.classify.several import Several
from conveyor.tasks.classify.text_reader import TextReader
from conveyor.tasks.classify.verdicts import Verdict, Verdicts

Reader = TextReader | SeriesReader

# What is answered at once has so many steps at most, with padding: some hundred megabytes.
_STEPS_AT_ONCE, _ROWS_AT_ONCE = 1 << 16, 256

# A class that no training example has gets this logarithm of a probability.
_NEVER = -100.0

# A label that a greater share of the training set has is that of a sequence without a step.
_MOST = 0.5


@dataclass(frozen=True, kw_only=True)
class ClassifierSizes(Sizes):
    """The sizes of a classifier, see ``Classifier``."""

    embedding: int = 0
    bidirectional: bool = True
    pooling: str = ""
    word_dropout: float = 0.0
    unknown: float = 0.0
    balance: bool = False
    noise: float = 0.0


@dataclass(frozen=True)
class Explained:
    """An answer, and how much each step counted for it.

    Attributes:
        label: what the sequence was taken for.
        probability: of that label, as the network says.
        steps: the tokens of a text, or the numbers of the steps of a series.
        weights: of each step, on the logarithm of the probability; above 0 it spoke for the label.
    """

    label: str
    probability: float
    steps: tuple[str, ...]
    weights: tuple[float, ...]


class Classifier(Network):
    """Sequences in, the logits of classes out.

    Args:
        cell: see ``conveyor.Recurrent``.
        reader: makes numbers of a text or a series.
        classes: what there is to say, in order.
        prior: the share of each class in the training set.
        sizes: all of them.
        several: how several labels of a sequence are said; None if each has one class.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        reader: Reader,
        classes: tuple[str, ...],
        prior: tuple[float, ...],
        sizes: ClassifierSizes,
        *,
        several: Several | None = None,
    ) -> None:
        super().__init__()
        if sizes.pooling not in POOLINGS:
            raise SettingError(f"pooling is {sizes.pooling!r}; expected one of {POOLINGS}.")
        self.reader, self.classes, self.prior = reader, classes, prior
        self.sizes, self.several = sizes, several
        embedding: WordEmbedding | Noise
        if isinstance(reader, TextReader):
            width = sizes.embedding
            embedding = WordEmbedding(
                len(reader.vocabulary),
                width,
                rare_from=reader.vocabulary.rare_from,
                unknown=sizes.unknown,
                word_dropout=sizes.word_dropout,
                dropout=sizes.dropout,
            )
        else:
            width = reader.features
            embedding = Noise(sizes.noise)
        layer = Recurrent(
            cell,
            width,
            sizes.hidden,
            sizes.layers,
            dropout=sizes.dropout,
            bidirectional=sizes.bidirectional,
            sizes=projection_of(cell, sizes.projection),
        )
        named = sizes.pooling or ("max" if isinstance(reader, TextReader) else "mean")
        pooling: Pooling | AttentionPooling = (
            AttentionPooling(layer.output_size) if named == "attention" else cast(Pooling, named)
        )
        self.encoder = Encoder(layer, embedding, pooling=pooling)
        head = ClassHead if several is None else LabelHead
        self.head: Head = head(layer.output_size, len(classes), dropout=sizes.dropout)

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The part that walks over time."""
        return cast(Recurrent, self.encoder.layer)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits [B, classes].

        Args:
            inputs: the numbers of tokens [T, B], or features [T, B, features].
            lengths: how many steps of each sequence count, [B], 0 to T; None for all.
        """
        logits: Tensor = self.head(self.encoder(inputs, lengths=lengths)[0])
        return logits

    def loss(self, batch: ClassBatch, state: Any = None) -> Loss:
        """Return the cross-entropy in nats, the mean over the sequences of a batch, or over classes
        of equal weight; of several labels that of all labels together."""
        logits = self(batch.inputs, batch.lengths).float()
        if not self.sizes.balance:
            return Loss(self.head.loss(logits, batch.targets), len(batch.targets))
        losses = self.head.losses(logits, batch.targets)
        return Loss((self._weights.to(losses)[batch.targets] * losses).mean(), len(batch.targets))

    @property
    def _weights(self) -> Tensor:
        """How much each class counts, so that all together do as much: 1 in the mean over examples
        (King & Zeng 2001, "Logistic regression in rare events data", section 4.2)."""
        prior = torch.tensor(self.prior)
        return torch.where(prior > 0, 1 / (len(prior) * prior), torch.ones(()))

    def put(self, vectors: WordVectors, *, learn: bool) -> None:
        """Begin with vectors of words.

        Args:
            vectors: as many numbers each as the embedding has.
            learn: whether they are learned further; those of other words always are.
        """
        assert isinstance(self.reader, TextReader)
        embedding = self.encoder.embedding
        assert isinstance(embedding, WordEmbedding)
        words = [word for word in vectors.of if word in self.reader.vocabulary]
        rows = torch.from_numpy(np.stack([vectors.of[word] for word in words]))
        embedding.put(self.reader.vocabulary.numbers(words), rows, learn=learn)

    def description(self) -> dict[str, Any]:
        """Return the sizes, the classes and how a sequence is read."""
        return {
            "network": asdict(self.sizes),
            "classes": list(self.classes),
            "prior": list(self.prior),
            "several": None if self.several is None else asdict(self.several),
            "reader": self.reader.description(),
        }

    @classmethod
    def described(
        cls, program: Program, description: Mapping[str, Any], where: str
    ) -> "Classifier":
        """Return the classifier of a description; see ``Network.described``."""
        classes, prior = description["classes"], description["prior"]
        if not fits(classes, tuple[str, ...]) or len(set(classes)) < max(len(classes), 2):
            raise RunError(f"{where}: classes is {shown(classes)}; expected different names.")
        if not fits(prior, tuple[float, ...]) or len(prior) != len(classes):
            raise RunError(f"{where}: prior is {shown(prior)}; expected a share for each class.")
        described = description["reader"]
        kinds: dict[str, Any] = {each.reads: each for each in (TextReader, SeriesReader)}
        kind = kinds.get(described.get("reads"))
        if kind is None:
            raise RunError(f"{where}: reader is {shown(described)}.")
        reader: Any = kind.described(described, where)
        sizes = to_record(ClassifierSizes, description["network"], where)
        several = None
        # Runs of earlier versions have one class for each sequence.
        if description.get("several") is not None:
            several = to_record(Several, description["several"], where)
            if len(several.thresholds) != len(classes):
                raise RunError(
                    f"{where}: thresholds is {shown(several.thresholds)}; expected one for each "
                    "class."
                )
        return cls(program, reader, tuple(classes), tuple(prior), sizes, several=several)

    @torch.no_grad()
    def log_probabilities(self, sequences: Sequence[Tensor]) -> Tensor:
        """Return the logarithm of the probability of each class, float64 [N, classes]; those of a
        sequence come to 1, unless it may have several labels. A sequence without a step gets the
        shares of the training set.

        Args:
            sequences: as the reader encodes them.
        """
        was_training = self.training
        self.eval()
        weight = self.head.weight
        answers = weight.new_empty(len(sequences), len(self.classes), dtype=torch.float64)
        for numbers in padded_batches(
            [len(sequence) for sequence in sequences], _ROWS_AT_ONCE, _STEPS_AT_ONCE
        ):
            inputs, lengths = padded([sequences[number] for number in numbers])
            logits = self(inputs, lengths) if len(inputs) else self._of_nothing(len(numbers))
            logits = torch.where(lengths[:, None] > 0, logits, self._of_nothing(len(numbers)))
            answers[numbers] = self.of_logits(logits.double())
        self.train(was_training)
        return answers

    def _of_nothing(self, rows: int) -> Tensor:
        """Return logits of sequences without a step."""
        prior = torch.tensor(self.prior, device=self.head.weight.device)
        logits = prior.log() if self.several is None else prior.logit()
        return logits.clamp(_NEVER, -_NEVER).expand(rows, -1)

    def of_logits(self, logits: Tensor) -> Tensor:
        """Return the logarithm of the probability of each class, [..., classes]."""
        return logits.log_softmax(-1) if self.several is None else logsigmoid(logits)

    def labels_of(self, probabilities: Tensor, steps: int) -> tuple[str, ...]:
        """Return what a sequence is taken for: the likeliest class, or all labels that hold. Of a
        sequence without a step those hold that more than half of the training set have: thresholds
        are chosen for what the network has read.

        Args:
            probabilities: of each class, [classes].
            steps: how many the sequence has.
        """
        if self.several is None:
            return (self.classes[int(probabilities.argmax())],)
        if steps:
            holds = self.several.holds(probabilities).tolist()
        else:
            holds = [share > _MOST for share in self.prior]
        return tuple(name for name, each in zip(self.classes, holds, strict=True) if each)

    def joined(self, labels: Sequence[str]) -> str:
        """Return labels as they stand in a cell."""
        return (self.several.joint if self.several else "").join(labels)

    def encoded(self, sequence: Any) -> Tensor:
        """Return a text or a series as the network reads it.

        Raises:
            DataError: it is neither.
        """
        if isinstance(self.reader, TextReader):
            if not isinstance(sequence, str):
                raise DataError(f"{shown(sequence)} is no text.")
            return self.reader.encode(sequence)
        return self.reader.encode(sequence)

    def explain(self, sequence: Any, label: str | None = None) -> Explained:
        """Return what a sequence is taken for, and how much each of its steps counted, by
        integrated gradients of the logarithm of the probability.

        Args:
            sequence: a text; or a series of numbers [T, columns] as an array.
            label: of which class; None for the likeliest.

        Raises:
            DataError: it is no text, or has no step.
            SettingError: there is no such class.
        """
        return self.explain_encoded(self.encoded(sequence), self._steps(sequence), label)

    def _steps(self, sequence: Any) -> tuple[str, ...]:
        if isinstance(self.reader, TextReader):
            return tuple(self.reader.tokens(sequence))
        return tuple(map(str, range(1, len(sequence) + 1)))

    def explain_encoded(
        self, encoded: Tensor, steps: tuple[str, ...], label: str | None = None
    ) -> Explained:
        """Return what ``explain`` does, of a sequence that is encoded.

        Args:
            encoded: [T] or [T, features].
            steps: what stands at each step.
            label: of which class; None for the likeliest.

        Raises:
            SettingError: there is no such class.
        """
        if label is not None and label not in self.classes:
            raise SettingError(f"label is {label!r}. {did_you_mean(label, self.classes)}")
        answers = self.log_probabilities([encoded])[0]
        best = int(answers.argmax()) if label is None else self.classes.index(label)
        weights: tuple[float, ...] = ()
        if len(encoded):
            with torch.no_grad():
                vectors = self.vectors(encoded)
            weights = tuple(
                integrated_gradients(lambda path: self.of_vectors(path)[:, best], vectors).tolist()
            )
        return Explained(self.classes[best], float(answers[best].exp()), steps, weights)

    def vectors(self, encoded: Tensor) -> Tensor:
        """Return what the recurrent layer reads of a sequence, [T, width]."""
        assert self.encoder.embedding is not None
        values: Tensor = self.encoder.embedding(encoded)
        return values

    def of_vectors(self, vectors: Tensor) -> Tensor:
        """Return the logarithm of the probability of each class, [B, classes], of what the
        recurrent layer reads, [T, B, width]."""
        return self.of_logits(self.head(self.encoder.read(vectors)[0]))

    def of_outputs(self, output: Tensor) -> Tensor:
        """Return the logarithm of the probability of each class, [B, classes], of the recurrent
        layer's output, [T, B, features]."""
        return self.of_logits(self.head(self.encoder.pool(output)))

    def stream(self) -> Verdicts:
        """Return what reads one step at a time, and says after each what it is so far.

        Raises:
            SettingError: the network reads from both ends.
        """
        return Verdicts(self.eval(), self.reader, self.classes, self.several)

    def verdicts(self, text: str) -> Iterator[tuple[str, Verdict]]:
        """Yield each token of a text, and the verdict after it.

        Raises:
            SettingError: the network reads from both ends, or no texts.
        """
        if not isinstance(self.reader, TextReader):
            raise SettingError("this run reads series of numbers. Use stream().")
        stream = self.stream()
        for token in self.reader.tokens(text):
            yield token, stream.read(token)
