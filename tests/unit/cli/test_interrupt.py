"""The keyboard while something runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("termios")

SCRIPT = """
import os, sys, termios
from bethink.cli.interrupt import unseen_keys
def echoes():
    return bool(termios.tcgetattr(0)[3] & termios.ECHO)
told = [echoes()]
try:
    with unseen_keys():
        told.append(echoes())
        raise KeyboardInterrupt
except KeyboardInterrupt:
    told.append(echoes())
print(told, sys.stdin.readline().strip())
"""
IN_FRONT = "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
BEHIND = IN_FRONT + "\nif (child := os.fork()): os._exit(os.waitpid(child, 0)[1])\nos.setpgid(0, 0)"


@pytest.mark.parametrize(("place", "meanwhile"), [(IN_FRONT, False), (BEHIND, True)])
def test_what_is_typed_ahead_is_kept_and_not_shown_and_who_is_behind_touches_nothing(
    place: str, meanwhile: bool
) -> None:
    terminal, keyboard = os.openpty()
    os.write(terminal, b"typed ahead\n")
    read = SCRIPT if place is IN_FRONT else SCRIPT.replace("sys.stdin.readline().strip()", "'typed ahead'")
    running = subprocess.Popen([sys.executable, "-c", place + read], stdin=keyboard, stdout=keyboard)
    assert running.wait(timeout=30) == 0
    os.close(keyboard)
    shown = os.read(terminal, 1000).decode()
    os.close(terminal)
    assert f"[True, {meanwhile}, True] typed ahead" in shown


def test_a_pipe_has_no_echo_to_silence() -> None:
    piped = [sys.executable, "-c", "from bethink.cli.interrupt import unseen_keys\nwith unseen_keys(): print(1)"]
    assert subprocess.run(piped, input=b"", capture_output=True, check=True).stdout.strip() == b"1"
