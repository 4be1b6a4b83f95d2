"""``python -m usdstylize`` and the ``usdstylize`` command."""

import signal
import sys

from usdstylize.cli import run


def main() -> None:
    """Run the command line and leave with its exit code."""
    # A farm ends a task with SIGTERM: it keeps what is done, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run())


if __name__ == "__main__":
    main()
