"""A server of its own process, for tests that kill it: `python serving_process.py HOME PORT SECONDS_A_TOKEN`."""

from __future__ import annotations

import sys
from pathlib import Path

from bethink.config import Settings
from bethink.server.launch import Choices, Models, launch
from tests.unit.server.scripted import NAME, scripted_model


def main() -> None:
    home, port, delay_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    models = Models(
        names=(NAME,),
        load=lambda _: scripted_model(token_delay_s=delay_s),
        known=lambda: (NAME,),
        prepare=lambda: {NAME: scripted_model(token_delay_s=delay_s)},
    )
    ended_well = launch(Choices(port=port), models, Settings(home), lambda opened: print(opened.url, flush=True))
    sys.exit(0 if ended_well else 130)


if __name__ == "__main__":
    main()
