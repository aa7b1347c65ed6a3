"""Who listens to what a task tells its user."""


class Heard:
    """What was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)
