"""A lost network, a reload and a killed server in the middle of an answer: it is there afterwards, whole."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, Reader, Server, free_port
from tests.browser.scripted_server import CLOSE, LINES

WHOLE = LINES["slow"][0].split(CLOSE)[0].removeprefix("<think>\n").replace("\n\n", "")


class Cable:
    """Carries bytes between a browser and a server, and can be pulled."""

    def __init__(self, to: int) -> None:
        self.port, self._to, self._is_in = free_port(), to, True
        self._ends: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def pull(self) -> None:
        self._is_in = False
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def plug(self) -> None:
        self._is_in = True

    def close(self) -> None:
        self.pull()
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                if not self._is_in:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def cable(server: Server) -> Iterator[Cable]:
    made = Cable(server.port)
    yield made
    made.close()


def has_whole_answer(reader: Reader) -> None:
    reader.answered()
    expect(reader.page.locator(".prose").last).to_contain_text("and this is its last word.")
    reader.page.locator("[data-fold]").click()
    thought = reader.page.locator(".thought .prose").inner_text()
    assert "".join(thought.split()) == "".join(WHOLE.split())


def test_a_dropped_connection_resumes_where_it_was(reader_at: Open, cable: Cable) -> None:
    reader = reader_at(f"http://127.0.0.1:{cable.port}")
    reader.open()
    reader.ask("slow: while the cable is pulled")
    expect(reader.page.locator(".thought .prose")).to_contain_text("what the")
    cable.pull()
    expect(reader.page.locator(".is-away")).to_contain_text("Coming back")
    cable.plug()
    expect(reader.page.locator(".is-away")).to_have_count(0)
    has_whole_answer(reader)


def test_a_reload_in_the_middle_loses_nothing(reader: Reader) -> None:
    reader.open()
    reader.ask("slow: while the page is loaded again")
    expect(reader.page.locator(".thought .prose")).to_contain_text("what the")
    reader.page.reload()
    expect(reader.page.locator(".thought")).to_contain_text("Thinking")
    has_whole_answer(reader)


def test_a_killed_server_gives_the_whole_answer_when_it_is_back(reader_at: Open, tmp_path: Path) -> None:
    server = Server(tmp_path, free_port())
    server.start()
    try:
        reader = reader_at(server.url)
        reader.open()
        reader.ask("slow: while the server dies")
        expect(reader.page.locator(".thought .prose")).to_contain_text("what the")
        server.kill()
        expect(reader.page.locator(".is-away")).to_contain_text("Coming back")
        server.start()
        has_whole_answer(reader)
    finally:
        server.stop()
