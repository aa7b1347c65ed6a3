"""A conversation with a network that replies."""

from conveyor.data.records import shown
from conveyor.data.turns import joined_turns, turns_of
from conveyor.errors import DataError
from conveyor.tasks.chat.chat_reading import ChatReading
from conveyor.tasks.chat.replier import Replier
from conveyor.tasks.pairs.translator import Written, attention_in_words


class Conversation:
    """A conversation, which remembers what was said.

        >>> talk = conveyor.load("runs/dialogues").chat(seed=1)
        >>> talk.say("Hello!")
        'Hi, how are you?'

    The same turns and options have the same reply.

    Args:
        network: replies.
        how: replies are found.

    Attributes:
        turns: all that was said, in order; it may be changed.
        answers: the replies to what was said last, the best first.
    """

    def __init__(self, network: Replier, how: ChatReading) -> None:
        self._network, self._how = network, how
        self.turns: list[str] = []
        self.answers: list[Written] = []
        self._read: list[str] = []

    @property
    def read(self) -> list[str]:
        """The turns that are read before the next reply."""
        return self.turns[-self._network.turns :]

    def say(self, text: str) -> str:
        """Return the reply to a text and the turns before it; the empty text to a blank one, which
        is not remembered.

        Raises:
            DataError: it is no text.
        """
        if not isinstance(text, str):
            raise DataError(f"{shown(text)} is no text; expected what is said.")
        self.answers = []
        said = " ".join(turns_of(text))
        if not said:
            return ""
        self.turns.append(said)
        reader = self._network.reader
        self._read = reader.source_tokens(joined_turns(self.read))
        source = reader.source.numbers(self._read)
        self.answers = self._network.replies(source, self._how)
        reply = self.answers[0].text
        if reply:
            self.turns.append(reply)
        return reply

    def looked(self, answer: Written) -> str:
        """Return where the network looked while it wrote one of ``answers``, where that was asked
        for with ``explain``: "fine<how 0.52"."""
        return attention_in_words(self._read, answer)

    def unknown(self, text: str) -> list[str]:
        """Return the tokens of a text that the network does not know, each once."""
        reader = self._network.reader
        tokens = dict.fromkeys(reader.source_tokens(text))
        return [token for token in tokens if token not in reader.source]

    def reset(self) -> None:
        """Forget all that was said."""
        self.turns, self.answers = [], []
