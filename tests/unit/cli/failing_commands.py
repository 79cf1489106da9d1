"""Commands that fail in every way a command can, for the tests of the boundary."""

from __future__ import annotations

import click

from bethink.errors import BethinkError, CapabilityMissing, DiskFull, UsageError

FAILURES: dict[str, BaseException] = {
    "usage": UsageError("a budget of -3 tokens", "give 0 or more"),
    "store": DiskFull("4.2 GB are needed, 1.1 GB are free", "`bethink models rm NAME` frees space"),
    "engine": CapabilityMissing("llamacpp gives no JSON schema"),
    "interrupt": KeyboardInterrupt(),
    "pipe": BrokenPipeError(),
    "fault": ZeroDivisionError("division by zero"),
    "file": click.FileError("notes.txt", "no such file"),
    "grouped": BaseExceptionGroup("tasks", [ExceptionGroup("inner", [DiskFull("the disk is full", "free some")])]),
    "several": ExceptionGroup("tasks", [BethinkError("one"), BethinkError("two")]),
}


@click.command()
@click.argument("failure")
def fail(failure: str) -> None:
    raise FAILURES[failure]


@click.command()
@click.argument("code", type=int)
def answer(code: int) -> int:
    click.echo("forty-two")
    return code
