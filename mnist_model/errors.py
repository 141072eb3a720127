"""The one exception that stands for a person's mistake."""


class InputError(ValueError):
    """What a person gave cannot be used; the message says what was expected, then what came.

    The scripts and the page print it as one line. Anything else that is raised is a bug, and keeps its traceback.
    """


class UnreachableError(InputError):
    """What was asked for cannot be had from the Hub at present, and is not in the cache."""
