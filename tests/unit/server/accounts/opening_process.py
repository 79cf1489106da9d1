"""Opens a database as soon as a file appears, and says when it is open. Run with its URL, a home, and the file."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bethink.server.accounts import Accounts

if __name__ == "__main__":
    url, home, signal_file = sys.argv[1:]
    print("ready", flush=True)
    while not Path(signal_file).exists():
        time.sleep(0.001)
    with Accounts.open(url, Path(home)) as accounts:
        accounts.directory.create_workspace(f"of {time.time_ns()}")
        print("open", flush=True)
