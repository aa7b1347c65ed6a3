"""Numbers that layers are made with, checked."""

from conveyor.errors import SettingError


def check_whole(**numbers: object) -> None:
    """Refuse what is no whole number from 1.

    Raises:
        SettingError: one is not; it is named.
    """
    for name, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise SettingError(f"{name} is {number!r}; expected a whole number from 1.")


def check_probability(what: str, rate: object, most: float = 0.99) -> None:
    """Refuse what is no probability up to ``most``, which is below 1 where what is not dropped is
    divided by what is left.

    Raises:
        SettingError: it is none.
    """
    is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
    if not is_number or not 0 <= rate <= most:  # type: ignore[operator]
        raise SettingError(f"{what} is {rate!r}; expected a probability from 0 to {most:g}.")
