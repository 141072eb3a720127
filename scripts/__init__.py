"""The commands, each run as `python -m scripts.NAME`; `--help` lists its options.

A script parses, calls the package and prints. It imports what needs TensorFlow in `main`, so that it can say if
TensorFlow is not installed, and after parsing, so that `--help` and wrong options are answered at once. Only `train`
imports earlier: the models' settings are its options.
"""

import os
import sys

from mnist_model.errors import InputError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hide TensorFlow's log of the hardware

TRAINING_PACKAGES = {
    *("tensorflow", "keras", "sklearn", "scipy", "matplotlib", "optuna", "sqlalchemy", "tqdm"),
    *("hatchling", "HersheyFonts", "unlzw3"),
}


def run(main):
    """Call `main` and exit with its status. A person's mistake prints one line and exits with 1, Ctrl-C with 130.

    When the output is closed, as by `| head`, it exits silently with 141, as other programs do.
    """
    try:
        status = main()
        sys.stdout.flush()
        sys.exit(status)
    except InputError as error:
        sys.exit(f"error: {error}")
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        if package not in TRAINING_PACKAGES:
            raise
        sys.exit(
            f"error: Expected the packages for training (pip install -r requirements-train.txt). Received: no {package}"
        )
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # Python flushes stdout at exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
