"""The exceptions for a person's mistake, which is reported in one line."""


class InputError(ValueError):
    """Wrong input. The message says what was expected and what was received.

    The scripts and the page print it as one line. Any other exception is a bug and keeps its traceback.
    """


class UnreachableError(InputError):
    """The Hub cannot be reached, and what is asked for is not in the cache."""
