"""The language model: a recurrent network that reads a text and predicts its next character."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.records import to_record
from conveyor.data.text import UNKNOWN, Chunks, Vocabulary, normal, spelled
from conveyor.errors import DataError, RunError, SettingError, counted
from conveyor.layers.state import main_output
from conveyor.networks.embedding import Embedding
from conveyor.networks.network import Loss, Network, Sizes
from conveyor.networks.output_heads import ClassHead
from conveyor.networks.search import draw_tokens
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence

# So many of the likeliest next characters are told at each step, and so long is a text's title.
ANSWERS, TITLE = 3, 60


@dataclass(frozen=True, kw_only=True)
class LanguageModelSizes(Sizes):
    """The sizes of a language model: numbers that stand for a character."""

    embedding: int = 0


class LanguageModel(Network):
    """Characters in, the distribution of the next character out.

    Args:
        cell: see ``conveyor.Recurrent``.
        vocabulary: the characters it knows.
        hidden, layers, dropout: of the recurrent network; dropout also on what it reads and
            writes (Zaremba, Sutskever & Vinyals 2014).
        projection: units of axis P, for cells that have it; 0 for those that have not.
        embedding: numbers that stand for a character.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        vocabulary: Vocabulary,
        *,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        projection: int = 0,
        embedding: int = 64,
    ) -> None:
        super().__init__()
        if embedding < 1 or len(vocabulary) < 2:
            raise SettingError(
                f"embedding is {embedding}, "
                f"the vocabulary has {counted(len(vocabulary), 'character')}; "
                "expected 1 or more, and 2 or more."
            )
        self.vocabulary = vocabulary
        self.embedding = Embedding(len(vocabulary), embedding, dropout=dropout)
        sizes = Sizes(hidden=hidden, layers=layers, dropout=dropout, projection=projection)
        self.recurrent = sizes.recurrent(cell, embedding)
        self.head = ClassHead(self.recurrent.output_size, len(vocabulary), dropout=dropout)

    def forward(self, read: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits [T, B, V] of what comes after each of ``read`` [T, B], and the state."""
        outputs, state = self.recurrent(self.embedding(read), state)
        output = main_output(outputs)
        return self.head(output), state

    def loss(self, batch: Sequence[Tensor], state: Any = None) -> Loss:
        """Return the nats per character of a chunk, and the state to carry.

        Args:
            batch: what is read and what comes next, both [T, B].
            state: after the chunk before.
        """
        read, following = batch
        logits, state = self(read, state)
        nats = self.head.loss(logits.float(), following)
        carried = type(state)(*(tensor.detach() for tensor in state))
        return Loss(nats, following.numel(), carried)

    def description(self) -> dict[str, Any]:
        """Return the sizes and the vocabulary."""
        width = self.embedding.embedding_dim
        return {
            "network": LanguageModelSizes.of(self.recurrent, embedding=width),
            "vocabulary": list(self.vocabulary.characters),
        }

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
        """Nats per character of a text, the state carried through."""
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
    def read(self, text: str, say: Callable[[str], None]) -> ReadSequence:
        """Return a text as the model reads it. Characters that it never saw count as one unknown
        character, which ``say`` is told.

        Args:
            text: in normal form C, not empty.
            say: called with each line for the user.
        """
        numbers = self.vocabulary.encode(text)
        unknown = [letter for letter, number in zip(text, numbers, strict=True) if not number]
        if unknown:
            different = ", ".join(map(repr, dict.fromkeys(unknown[:10])))
            say(
                f"{counted(len(unknown), 'character')} of the text the run has never seen, read as "
                f"one unknown character: {different}"
            )
        self.eval()
        inputs = self.embedding(numbers.unsqueeze(1))
        chances = torch.softmax(self.head(main_output(self.recurrent(inputs)[0]))[:, 0], -1)
        chances[:, 0] = 0  # UNKNOWN is no character
        best = chances.topk(min(ANSWERS, len(self.vocabulary) - 1), -1)
        characters = self.vocabulary.characters
        answers = tuple(
            " · ".join(
                f"‘{spelled(characters[number])}’ {100 * chance:.0f} %"
                for number, chance in zip(row, row_chances, strict=True)
            )
            for row, row_chances in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )
        likeliest = int(best.indices[-1, 0])
        letter = spelled(characters[likeliest])
        return ReadSequence(
            title=same(text if len(text) <= TITLE else text[:TITLE].rstrip() + "…"),
            inputs=inputs,
            labels=tuple(text),
            answer=lambda output: torch.log_softmax(self.head(output[-1]), -1)[:, likeliest],
            asked=Words(
                f"the log-probability of ‘{letter}’, which it expects next",
                f"log xác suất của ‘{letter}’, ký tự mà mạng dự đoán tiếp theo",
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
        """Yield ``length`` characters that go on from ``prompt``, each as soon as it is drawn.

        Args:
            prompt: read first; normalised to NFC. Empty starts with a line end, if known.
            temperature: above 0; below 1 is safer, above 1 more varied.
            top_k: draw from so many of the likeliest characters; 0 for all.
            top_p: above 0 up to 1; draw from the likeliest characters that hold this share.
            seed: the same seed gives the same text.

        Raises:
            SettingError: a number is out of its range.
            DataError: the prompt holds a character that the model never saw.
        """
        warm = temperature > 0 and math.isfinite(temperature)
        if not warm or not 0 < top_p <= 1 or length < 0 or not 0 <= seed < 2**63 or top_k < 0:
            raise SettingError(
                f"temperature is {temperature}, top_p {top_p}, length {length}, seed {seed}, top_k "
                f"{top_k}; expected temperature above 0, top_p above 0 up to 1, length 0 or more, "
                "seed from 0 and below 2^63, top_k 0 or more."
            )
        known = set(self.vocabulary.characters[1:])
        prompt = normal(prompt) or ("\n" if "\n" in known else self.vocabulary.characters[1])
        unseen = dict.fromkeys(character for character in prompt if character not in known)
        if unseen:
            raise DataError(
                f"the prompt holds {', '.join(map(repr, unseen))}, which the training text does "
                "not. Write the prompt in its characters."
            )
        self.eval()
        draw = torch.Generator().manual_seed(seed)
        logits, state = self(self.vocabulary.encode(prompt).unsqueeze(1))
        last = logits[-1, 0]
        for _ in range(length):
            last[0] = -torch.inf  # UNKNOWN is no character
            number = int(
                draw_tokens(
                    last[None],
                    temperature=temperature,
                    top_k=top_k,
                    top_p=top_p,
                    generator=draw,
                )
            )
            yield self.vocabulary.characters[number]
            read = self.embedding.weight[number].unsqueeze(0)
            outputs, state = self.recurrent.step(read, state)
            output = main_output(outputs)
            last = self.head(output)[0]


def _vocabulary(characters: Any, where: str) -> Vocabulary:
    """The vocabulary of a file: different characters, ``UNKNOWN`` first."""
    if not isinstance(characters, list) or not all(map(_is_character, characters)):
        raise RunError(f"{where}: the vocabulary is not a list of characters.")
    if len(set(characters)) < len(characters) or characters[:1] != [UNKNOWN]:
        raise RunError(
            f"{where}: the vocabulary is none: expected {UNKNOWN!r} and then other characters, "
            "each once."
        )
    return Vocabulary(tuple(characters))


def _is_character(value: object) -> bool:
    return isinstance(value, str) and len(value) == 1
