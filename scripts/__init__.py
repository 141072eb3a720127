"""What a person starts from the command line, each as `python -m scripts.NAME`; `--help` tells its options.

A script parses, calls the package and prints. What needs TensorFlow it imports in `main`, so that where TensorFlow is
not installed it can say so; after parsing, so that `--help` and mistakes are answered at once. Only `train` imports
before: the models' settings are its options.
"""

import os
import sys

from mnist_model.errors import InputError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's log of what it found on the machine

TRAINING_PACKAGES = {
    *("tensorflow", "keras", "sklearn", "scipy", "matplotlib", "optuna", "sqlalchemy", "tqdm"),
    *("HersheyFonts", "unlzw3"),
}


def run(main):
    """Call `main` and exit with its status; a person's mistake is one line and status 1, Ctrl-C status 130.

    Where nobody reads on, as after `| head`, it ends without a word, with the 141 of other programs.
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
        # At its end Python writes what is left, which must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
