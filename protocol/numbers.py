"""Numbers as JSON has them: 3.0 and 3 are the same integer.

JSON has one kind of number (RFC 8259, section 6), and in JSON Schema 3.0 is an integer.
Clients whose language writes every number as a float, such as Godot's, send `"seats": 2.0`.
"""

from typing import Any, Final

from protocol.limits import INT_MAX

# What can be a whole float, or hold one.
_FLOATS: Final = frozenset((float, dict, list))


def float_to_integer(number: float) -> int | float:
    """Give the integer that a float stands for.

    What is not whole, or lies beyond ±(2⁵³ - 1), where floats are no longer exact, stays a float.
    """
    return int(number) if number.is_integer() and abs(number) <= INT_MAX else number


def floats_to_integers(value: Any) -> Any:
    """Give a JSON value with an integer for every whole float in it.

    A value without floats is returned as it is, not copied. The depth is the caller's to bound.
    """
    kind = type(value)
    if kind is float:
        return float_to_integer(value)
    if kind is dict:
        for item in value.values():
            if type(item) in _FLOATS:
                return {key: floats_to_integers(item) for key, item in value.items()}
    elif kind is list:
        for item in value:
            if type(item) in _FLOATS:
                return [floats_to_integers(item) for item in value]
    return value
