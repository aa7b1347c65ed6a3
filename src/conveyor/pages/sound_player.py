"""Sounds inside a page, to listen to."""

import base64

from conveyor.data.audio_file import Samples, wave_bytes


class SoundPlayers:
    """Makes players of sounds, as long as a page has room for them.

    Args:
        room: bytes that all sounds of the page may take.
    """

    def __init__(self, room: int) -> None:
        self._left = room

    def of(self, samples: Samples, rate: int) -> str:
        """Return a player of a sound as a part of a page, nothing where there is no room.

        Args:
            samples: from -1 to 1, [N].
            rate: samples a second.
        """
        data = base64.b64encode(wave_bytes(samples, rate)).decode()
        if len(data) > self._left:
            return ""
        self._left -= len(data)
        source = f"data:audio/wav;base64,{data}"
        return f'<audio controls preload="none" src="{source}"></audio>'
