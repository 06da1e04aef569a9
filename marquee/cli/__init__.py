"""`marquee …`: the command line. Thin: it parses, calls one function of the library, and prints."""

import os
import sys

from marquee.cli.app import app
from marquee.cli.render import print_error
from marquee.errors import MarqueeError


def main() -> None:
    """Run the command line; what a user can cause ends in two lines, never in a traceback."""
    # Waiting OpenMP threads that spin make boosting many times slower on a machine that is shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Before OpenMP is loaded: threads that wait by spinning make LightGBM several times slower as soon
    # as another process wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, where a reader that has gone can still be forgiven
    except MarqueeError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `marquee … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
