"""`marquee …`: the command line. Thin: it parses, calls one function of the library, and prints."""

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper

from marquee.errors import MarqueeError


def main() -> None:
    """Run the command line."""
    guarded(_pipeline if sys.argv[1:2] == ["pipeline"] else _commands)


def _commands() -> None:
    from marquee.cli.app import app

    app()


def _pipeline() -> None:
    """Hand `marquee pipeline …` over before any command is read: the process to come reads its own."""
    from marquee.cli.pipeline import hand_over

    hand_over(sys.argv[2:])


def guarded(command_line: Callable[[], object]) -> None:
    """Run a command line; what a user can cause ends in two lines, never in a traceback."""
    # Before OpenMP is loaded: threads that wait by spinning make LightGBM several times slower as soon
    # as another process wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # an ASCII terminal or pipe shows "?" for what it lacks
            stream.reconfigure(errors="replace")
    try:
        try:
            command_line()
        finally:
            sys.stdout.flush()  # here, where a reader that has gone can still be forgiven
    except MarqueeError as error:
        _print_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `marquee … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a full disk behind `marquee … > file`, or no room for temporary files
        _print_error(
            MarqueeError(
                f"the system refused to read or write: {error}.",
                remedy="Check free space and permissions there, also of the output and of TMPDIR.",
            )
        )
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(MarqueeError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _print_error(error: MarqueeError) -> None:
    from marquee.cli.render import print_error

    print_error(error)
