"""`python -m serving --model_dir runs/latest`: the server of `serving.program`."""

import gc
import sys


def start() -> int:
    """Load and serve; gives the exit code."""
    # What is imported and loaded stays: to look for garbage in it again and again takes a fifth of a start.
    # The collector comes back when everything is there (`serving.program.run`).
    gc.disable()
    from serving.program import main  # noqa: PLC0415 - so that it is imported without the collector

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())
