"""Numbers that layers are made with, checked."""

from conveyor.errors import SettingError

# Sizes are 64-bit numbers in torch.
MOST = 2**63 - 1


def check_whole(least: int = 1, **numbers: object) -> None:
    """Raise where something is no whole number from ``least``.

    Raises:
        SettingError: one is not; it is named.
    """
    for name, number in numbers.items():
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not whole or not least <= number <= MOST:  # type: ignore[operator]
            raise SettingError(f"{name} is {number!r}; expected a whole number from {least}.")


def check_probability(what: str, rate: object, most: float = 0.99) -> None:
    """Refuse what is no probability up to ``most``, which is below 1 where what is not dropped is
    divided by what is left.

    Raises:
        SettingError: it is none.
    """
    is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
    if not is_number or not 0 <= rate <= most:  # type: ignore[operator]
        raise SettingError(f"{what} is {rate!r}; expected a probability from 0 to {most:g}.")
