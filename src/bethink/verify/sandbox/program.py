"""Runs inside the sandbox: a program's text, as `python program.py` would."""

from __future__ import annotations

import os
import sys


def main(argument: tuple[str, int]) -> None:
    """`argument`: the source, and the exit code that says "out of memory"."""
    source, memory_exit = argument
    module = sys.modules["__main__"] = type(sys)("__main__")
    module.__dict__["__file__"] = "program.py"
    sys.argv = ["program.py"]
    try:
        with open("program.py", "w", encoding="utf-8", errors="surrogatepass") as file:  # noqa: PTH123  pathlib is slow to load
            file.write(source)  # for the lines that a traceback shows
    except OSError:
        pass
    try:
        exec(compile(source, "program.py", "exec"), module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  shown as the interpreter itself would, and told by the exit code
        trace = error.__traceback__.tb_next if error.__traceback__ else None  # less this frame
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.stdout.flush()
        if isinstance(error, MemoryError):
            os._exit(memory_exit)
        sys.exit(1)
