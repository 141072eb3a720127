"""The one exception that stands for a person's mistake."""


class InputError(ValueError):
    """What a person gave cannot be used; the message says what was expected, then what came.

    The scripts and the page print it as one line. Anything else that is raised is a bug, and keeps its traceback.
    """
