"""`marquee …`: the command line. Thin: it parses, calls one function of the library, and prints."""

import sys

from marquee.cli.app import app
from marquee.cli.render import print_error
from marquee.errors import MarqueeError


def main() -> None:
    """Run the command line; what a user can cause ends in two lines, never in a traceback."""
    try:
        app()
    except MarqueeError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
