"""Keep the log lines of C++ libraries off a person's terminal."""

import contextlib
import os
import sys
import tempfile


@contextlib.contextmanager
def quiet_stderr():
    """Hide what is written to stderr within the block; if the block raises, show it after all.

    TensorFlow 2.21.0 and ai-edge-litert 2.3.0 log when they are loaded, past `sys.stderr` and whatever
    `TF_CPP_MIN_LOG_LEVEL` says. To drop this, check that `python -m scripts.train` prints nothing on stderr without it.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(stderr, log.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
