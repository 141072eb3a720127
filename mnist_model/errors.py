"""Exceptions for mistakes of the user, which are reported in one line."""


class InputError(ValueError):
    """Wrong input. The message says what was expected and what was received.

    The scripts and the page print it as one line. Any other exception is a bug and keeps its traceback.
    """


class UnreachableError(InputError):
    """The Hub cannot be reached, and the cache does not hold what was asked for."""
