"""A server of its own process, to be killed: `serving_process.py HOME`. It says its port when it listens."""

from __future__ import annotations

import sys
from pathlib import Path

from bethink.config import Settings
from bethink.engine.scripted import Context, Line
from bethink.server.accounts import Accounts
from bethink.server.app import create_app
from bethink.server.listening import Serving, bind, serve
from bethink.server.page.page import Page
from bethink.server.running.admission import Admission
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service
from tests.unit.server.conversations.conftest import CLOSED, make_model

THOUGHT = " ".join(f"step{n}" for n in range(120))
ANSWER = " ".join(f"word{n}" for n in range(120))
TOKEN_S = 0.0015


def script(context: Context) -> Line:
    """Whatever stands there already, what is said goes on from it."""
    said = context.text.rsplit("assistant\n", 1)[1]
    whole = f"<think>\n{THOUGHT}{CLOSED}{ANSWER}"
    assert whole.startswith(said), said
    return Line(whole[len(said) :])


def main(home: Path) -> None:
    sockets = bind("127.0.0.1", 0)
    with Accounts.open(None, home) as accounts:
        model = make_model(script, token_delay_s=TOKEN_S)
        pool = Pool(load=lambda _: model, known=lambda: ("scripted",), default="scripted")
        service = Service(pool, Admission(accounts))
        app = create_app(service, None, Page.of(service, accounts.engine, Settings(home)))
        port = sockets[0].getsockname()[1]
        started = lambda: print(port, flush=True)  # noqa: E731
        serve(Serving(app, sockets, service.stopping, n_running=lambda: service.n_running, on_started=started))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
