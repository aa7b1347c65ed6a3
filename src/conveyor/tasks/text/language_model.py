"""The language model: a recurrent network that reads a text and predicts what comes next."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.padded import padded
from conveyor.data.records import to_record
from conveyor.data.subwords import SPACE
from conveyor.data.text import UNKNOWN, Chunks, Vocabulary, normal, spelled
from conveyor.data.text_pieces import Pieces
from conveyor.errors import DataError, RunError, SettingError, counted, named
from conveyor.layers.state import main_output
from conveyor.networks.embedding import Embedding
from conveyor.networks.network import Loss, Network, Sizes
from conveyor.networks.output_heads import ClassHead, class_losses
from conveyor.networks.search import draw_tokens
from conveyor.networks.steady_dropout import locked_dropout, word_dropout
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.text.tied_head import TiedHead

# So many of the likeliest next symbols are told at each step, and so long is a text's title.
ANSWERS, TITLE = 3, 60

# The vectors of tied symbols begin within ± this number.
START = 0.1

# What a symbol is, in a sentence.
UNIT_WORDS = {
    "char": Words("character", "ký tự"),
    "word": Words("word", "từ"),
    "syllable": Words("syllable", "âm tiết"),
    "subword": Words("sub-word", "mảnh từ"),
}


@dataclass(frozen=True, kw_only=True)
class LanguageModelSizes(Sizes):
    """The sizes of a language model, and what keeps it from learning a text by heart; see
    ``LanguageModel``."""

    embedding: int = 0
    input_dropout: float | None = None
    output_dropout: float | None = None
    locked_dropout: bool = False
    word_dropout: float = 0.0
    weight_dropout: float = 0.0
    activation_penalty: float = 0.0
    change_penalty: float = 0.0
    tied: bool = False


class LanguageModel(Network):
    """Characters, words, syllables or sub-words in, the distribution of the next one out.

    All that keeps it from learning a text by heart is off in evaluation. Together it is that of the
    AWD-LSTM (Merity, Keskar & Socher 2018, Regularizing and optimizing LSTM language models), for
    any cell.

    Args:
        cell: see ``conveyor.Recurrent``.
        vocabulary: the symbols it knows.
        hidden, layers, dropout: of the recurrent network; dropout also on what it reads and
            writes (Zaremba, Sutskever & Vinyals 2014).
        projection: units of axis P, for cells that have it; 0 for those that have not.
        embedding: numbers that stand for a symbol.
        input_dropout, output_dropout: the probability of dropping a number of what it reads and
            writes; None for ``dropout``.
        locked_dropout: whether all three drop the same numbers at all steps of a chunk.
        word_dropout: the probability of dropping a symbol, at all places of a chunk.
        weight_dropout: the probability of dropping a weight of recurrent matrices, drawn for each
            chunk.
        activation_penalty: AR's α: times the mean square of the last layer's output, after dropout.
        change_penalty: TAR's β: times the mean square of the change of that output from step to
            step, before dropout.
        tied: whether the vectors of symbols are also the output's weight, see ``TiedHead``.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        vocabulary: Vocabulary | Pieces,
        *,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        projection: int = 0,
        embedding: int = 64,
        input_dropout: float | None = None,
        output_dropout: float | None = None,
        locked_dropout: bool = False,
        word_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        activation_penalty: float = 0.0,
        change_penalty: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__()
        symbols = len(vocabulary)
        if embedding < 1 or symbols < 2:
            raise SettingError(
                f"embedding is {embedding}, "
                f"the vocabulary has {counted(symbols, vocabulary.unit_name)}; "
                "expected 1 or more, and 2 or more."
            )
        self.vocabulary = vocabulary
        self.input_dropout, self.output_dropout = input_dropout, output_dropout
        self.locked_dropout, self.word_dropout = locked_dropout, word_dropout
        self.activation_penalty, self.change_penalty = activation_penalty, change_penalty
        self.embedding = Embedding(symbols, embedding)
        sizes = Sizes(hidden=hidden, layers=layers, dropout=dropout, projection=projection)
        self.recurrent = sizes.recurrent(
            cell, embedding, locked_dropout=locked_dropout, weight_dropout=weight_dropout
        )
        features = self.recurrent.output_size
        self.head: ClassHead | TiedHead
        if tied:
            self.head = TiedHead(features, symbols, embedding)
            # As weights of the output, torch's N(0, 1) would make the first loss far above ln V.
            nn.init.uniform_(self.embedding.weight, -START, START)
        else:
            self.head = ClassHead(features, symbols)

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [..., V] of what comes next.

        Args:
            features: what the recurrent network wrote, [..., H].
        """
        if isinstance(self.head, TiedHead):
            return self.head.forward(features, self.embedding.weight)
        return self.head.forward(features)

    def _dropped(self, values: Tensor, rate: float | None) -> Tensor:
        """Return values [T, B, width], of which some are dropped in training."""
        rate = self.recurrent.dropout if rate is None else rate
        if not self.locked_dropout:
            return dropped(values, rate, self.training)
        return locked_dropout(values, rate) if self.training else values

    def _run(self, read: Tensor, state: Any) -> tuple[Tensor, Tensor, Any]:
        """Return what the last layer writes, [T, B, H], before and after dropout, and the state."""
        vectors = self.embedding(read)
        if self.training:
            vectors = word_dropout(vectors, read, len(self.vocabulary), self.word_dropout)
        outputs, state = self.recurrent(self._dropped(vectors, self.input_dropout), state)
        output = main_output(outputs)
        return output, self._dropped(output, self.output_dropout), state

    def forward(self, read: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits [T, B, V] of what comes after each of ``read`` [T, B], and the state."""
        _, features, state = self._run(read, state)
        return self.logits(features), state

    def _penalty(self, output: Tensor, features: Tensor) -> Tensor | None:
        """Return what is minimised besides the loss, in training; None for nothing."""
        if not self.training or not (self.activation_penalty or self.change_penalty):
            return None
        penalty = self.activation_penalty * features.float().square().mean()
        if len(output) > 1:  # one step has no change
            changes = (output[1:] - output[:-1]).float()
            penalty = penalty + self.change_penalty * changes.square().mean()
        return penalty

    def loss(self, batch: Sequence[Tensor], state: Any = None) -> Loss:
        """Return the nats per symbol of a chunk, and the state to carry.

        Args:
            batch: what is read and what comes next, both [T, B].
            state: after the chunk before.
        """
        read, following = batch
        output, features, state = self._run(read, state)
        nats = class_losses(self.logits(features).float(), following).mean()
        carried = type(state)(*(tensor.detach() for tensor in state))
        return Loss(nats, following.numel(), carried, self._penalty(output, features))

    def description(self) -> dict[str, Any]:
        """Return the sizes and the vocabulary."""
        sizes = LanguageModelSizes.of(
            self.recurrent,
            embedding=self.embedding.embedding_dim,
            input_dropout=self.input_dropout,
            output_dropout=self.output_dropout,
            locked_dropout=self.locked_dropout,
            word_dropout=self.word_dropout,
            weight_dropout=self.recurrent.weight_dropout,
            activation_penalty=self.activation_penalty,
            change_penalty=self.change_penalty,
            tied=isinstance(self.head, TiedHead),
        )
        return {"network": sizes, "vocabulary": self.vocabulary.description()}

    @classmethod
    def described(
        cls, program: Program, description: Mapping[str, Any], where: str
    ) -> "LanguageModel":
        """Return the language model of a description; see ``Network.described``."""
        # Older versions wrote the sizes of all tasks' networks.
        sizes = {k: v for k, v in dict(description["network"]).items() if k != "linear"}
        network = to_record(LanguageModelSizes, sizes, where)
        return cls(program, _vocabulary(description["vocabulary"], where), **asdict(network))

    @torch.no_grad()
    def nats(self, chunks: Chunks) -> float:
        """Nats per symbol of a text, the state carried through."""
        was_training = self.training
        self.eval()
        total, count, state = 0.0, 0, None
        for read, following in chunks:
            loss = self.loss((read, following), state)
            state = loss.state
            total += float(loss.value) * loss.count
            count += loss.count
        self.train(was_training)
        return total / count

    @torch.no_grad()
    def log_probabilities(self, texts: Sequence[str]) -> list[float]:
        """Return the logarithm of the probability of each text after a line end, or after the first
        symbol where no line ends, in nats.

        Args:
            texts: one or more; a symbol that the model never saw counts as the unknown one.
        """
        self.eval()
        symbols = self.vocabulary.symbols
        begin = "\n" if "\n" in symbols[1:] else symbols[1]
        device = self.embedding.weight.device
        encoded = [self.vocabulary.encode(begin + normal(each)).to(device) for each in texts]
        numbers, lengths = padded(encoded)
        chances = self(numbers.long())[0].float().log_softmax(-1)
        taken = chances[:-1].gather(2, numbers[1:].long().unsqueeze(2)).squeeze(2).double()
        counted = torch.arange(1, len(numbers), device=device)[:, None] < lengths
        sums: list[float] = (taken * counted).sum(0).tolist()
        return sums

    @torch.no_grad()
    def read(self, text: str, say: Callable[[str], None]) -> ReadSequence:
        """Return a text as the model reads it. Symbols that it never saw count as one unknown
        symbol, which ``say`` is told.

        Args:
            text: in normal form C, not empty.
            say: called with each line for the user.
        """
        numbers, labels = self.vocabulary.encode(text), self.vocabulary.labels(text)
        unknown = [label for label, number in zip(labels, numbers, strict=True) if not number]
        if unknown:
            name = self.vocabulary.unit_name
            different = ", ".join(map(repr, dict.fromkeys(unknown[:10])))
            say(
                f"{counted(len(unknown), name)} of the text the run has never seen, read as "
                f"one unknown {name}: {different}"
            )
        self.eval()
        inputs = self.embedding(numbers.to(self.embedding.weight.device).unsqueeze(1))
        chances = torch.softmax(self.logits(main_output(self.recurrent(inputs)[0]))[:, 0], -1)
        chances[:, 0] = 0  # UNKNOWN is no symbol
        best = chances.topk(min(ANSWERS, len(self.vocabulary) - 1), -1)
        symbols = [spelled(symbol.replace(SPACE, " ")) for symbol in self.vocabulary.symbols]
        answers = tuple(
            " · ".join(
                f"‘{symbols[number]}’ {100 * chance:.0f} %"
                for number, chance in zip(row, row_chances, strict=True)
            )
            for row, row_chances in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )
        likeliest = int(best.indices[-1, 0])
        letter, unit = symbols[likeliest], UNIT_WORDS[self.vocabulary.unit]
        return ReadSequence(
            title=same(text if len(text) <= TITLE else text[:TITLE].rstrip() + "…"),
            inputs=inputs,
            labels=tuple(labels),
            answer=lambda output: torch.log_softmax(self.logits(output[-1]), -1)[:, likeliest],
            asked=Words(
                f"the log-probability of ‘{letter}’, which it expects next",
                f"log xác suất của ‘{letter}’, {unit.vi} mà mạng dự đoán tiếp theo",
            ),
            symbols=True,
            answers=answers,
            repeat={"text": text},
        )

    @torch.no_grad()
    def generate(
        self,
        prompt: str,
        length: int,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Yield ``length`` symbols that go on from ``prompt``, each as soon as it is drawn.

        Args:
            prompt: read first; normalised to NFC. Empty starts with a line end, if known.
            temperature: above 0; below 1 is safer, above 1 more varied.
            top_k: draw from so many of the likeliest symbols; 0 for all.
            top_p: above 0 up to 1; draw from the likeliest symbols that hold this share.
            seed: the same seed gives the same text.

        Raises:
            SettingError: a number is out of its range.
            DataError: the prompt holds a symbol that the model never saw.
        """
        warm = temperature > 0 and math.isfinite(temperature)
        if not warm or not 0 < top_p <= 1 or length < 0 or not 0 <= seed < 2**63 or top_k < 0:
            raise SettingError(
                f"temperature is {temperature}, top_p {top_p}, length {length}, seed {seed}, top_k "
                f"{top_k}; expected temperature above 0, top_p above 0 up to 1, length 0 or more, "
                "seed from 0 and below 2^63, top_k 0 or more."
            )
        symbols = self.vocabulary.symbols
        prompt = normal(prompt) or ("\n" if "\n" in symbols[1:] else symbols[1])
        numbers, labels = self.vocabulary.encode(prompt), self.vocabulary.labels(prompt)
        unseen = [label for label, number in zip(labels, numbers, strict=True) if not number]
        if unseen:
            raise _not_read(unseen, self.vocabulary.unit)
        self.eval()
        draw = torch.Generator().manual_seed(seed)
        logits, state = self(numbers.to(self.embedding.weight.device).unsqueeze(1))
        last, before = logits[-1, 0], int(numbers[-1])
        for _ in range(length):
            last[0] = -torch.inf  # UNKNOWN is no symbol
            number = int(
                draw_tokens(
                    last[None],
                    temperature=temperature,
                    top_k=top_k,
                    top_p=top_p,
                    generator=draw,
                )
            )
            yield from self.vocabulary.written([number], after=before)
            before = number
            read = self.embedding.weight[number].unsqueeze(0)
            outputs, state = self.recurrent.step(read, state)
            output = main_output(outputs)
            last = self.logits(output)[0]


def _vocabulary(characters: Any, where: str) -> Vocabulary | Pieces:
    """The vocabulary of a file: different characters, ``UNKNOWN`` first, or pieces."""
    if isinstance(characters, dict):
        return Pieces.described(characters, where)
    if not isinstance(characters, list) or not all(map(_is_character, characters)):
        raise RunError(f"{where}: the vocabulary is not a list of characters.")
    if len(set(characters)) < len(characters) or characters[:1] != [UNKNOWN]:
        raise RunError(
            f"{where}: the vocabulary is none: expected {UNKNOWN!r} and then other characters, "
            "each once."
        )
    return Vocabulary(tuple(characters))


def _not_read(unseen: list[str], unit: str) -> DataError:
    """Return the error of a prompt that holds symbols that the model never saw."""
    if unit == "word":
        words = ", ".join(map(repr, dict.fromkeys(label.strip(" ") for label in unseen)))
        return DataError(
            f"the prompt holds {words}, which is none of the words that the model knows. Write the "
            f"prompt in words of the training text, or fit with {named('unit', 'subword')}, which "
            "spells any word."
        )
    return DataError(
        f"the prompt holds {', '.join(map(repr, dict.fromkeys(unseen)))}, which the training text "
        "does not. Write the prompt in its characters."
    )


def _is_character(value: object) -> bool:
    return isinstance(value, str) and len(value) == 1
