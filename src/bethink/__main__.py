"""`bethink` and `python -m bethink`: where the command line begins."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> int:
    """Run this process's command line and return its exit code."""
    try:
        from bethink.cli.main import main as run  # here, because a Ctrl-C may come while it is imported
    except KeyboardInterrupt:
        return INTERRUPTED
    return run()


if __name__ == "__main__":
    sys.exit(main())
