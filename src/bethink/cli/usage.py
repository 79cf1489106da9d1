"""`bethink usage`: what a server's keys used, what it cost, and whether the ledger says what the traces say."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from rich.text import Text

from bethink.cli.accounts import Moment, database_option, open_accounts
from bethink.cli.terminal import one_row, open_terminal
from bethink.errors import UsageError

if TYPE_CHECKING:
    from bethink.server.accounts import Accounts, By, LedgerRow, UsageRow

DAYS = 30
MOST_REQUESTS = 1000
GROUPS = ("day", "key", "user", "model", "workspace", "request")
FAILED = 1


class Amount(click.ParamType[Decimal]):
    """Money, exactly: `0.15`."""

    name = "amount"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        from bethink.server.accounts.prices import as_micro

        try:
            amount = Decimal(str(value).strip())
            as_micro(param.name or "it" if param else "it", amount)
        except (InvalidOperation, ValueError):
            self.fail(f"{value!r} is no price; write 0.15, in steps of 0.000001", param, ctx)
        return amount


@click.group(invoke_without_command=True)
@click.option("--by", type=click.Choice(GROUPS), default="day", show_default=True, help="What to sum by.")
@click.option("--since", type=Moment(), metavar="TIME", help="From 12h, 7d, 4w ago, or a day.  [default: 30d]")
@click.option("--until", type=Moment(), metavar="TIME", help="Up to then, and not that moment itself.")
@click.option("--workspace", metavar="NAME", help="Only this workspace.")
@click.option("--key", metavar="NAME|ID", help="Only this key.")
@click.option("--csv", "csv_file", metavar="FILE", help="Write CSV to a file, or - for standard output.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array; amounts of money are text.")
@click.option("--no-color", is_flag=True, help="No colours.")
@database_option
@click.pass_context
def usage(ctx: click.Context, by: str, **values: Any) -> None:
    """See what a server's keys used, and what it cost.

    Days are those of UTC. Sampled tokens that were dropped (probes, cancelled paths) are "other"; they cost as
    thinking. By request the newest thousand are shown; `--csv` writes all of the ledger, row by row.

    \b
    Examples:
      bethink usage
      bethink usage --by key --since 7d
      bethink usage --by request --since 2026-11-01 --until 2026-12-01 --csv november.csv
      bethink usage prices set qwen3:4b --input 0.10 --answer 0.40
      bethink usage reconcile
    """
    if ctx.invoked_subcommand is not None:
        return
    with open_accounts(values["database"]) as accounts:
        since = values["since"] or datetime.now(UTC) - timedelta(days=DAYS)
        workspace = _workspace_id(accounts, values["workspace"])
        key = accounts.directory.key(values["key"]).id if values["key"] else None
        if values["csv_file"] and by == "request":
            whole = accounts.rows(since, values["until"], workspace=workspace, key=key)
            _write_csv(whole, values["csv_file"], is_ledger=True)
            return
        most = MOST_REQUESTS if by == "request" else None
        rows = accounts.usage(cast("By", by), since, values["until"], workspace=workspace, key=key, most=most)
    if len(rows) == most:
        click.echo(f"these are the newest {most:,} requests; --csv writes all of them", err=True)
    if values["csv_file"]:
        _write_csv(rows, values["csv_file"], is_ledger=False)
    elif values["as_json"]:
        click.echo(json.dumps([_object(row) for row in rows], ensure_ascii=False, indent=1))
    elif not rows:
        click.echo(f"nothing was used since {since:%Y-%m-%d %H:%M} UTC", err=True)
    else:
        from bethink.cli.usage_view import usage_table

        terminal = open_terminal(no_color=values["no_color"])
        terminal.out.print(usage_table(rows, by, terminal))


def _workspace_id(accounts: Accounts, name: str | None) -> str | None:
    if name is None:
        return None
    return accounts.directory.workspace(name).id


def _object(row: UsageRow) -> dict[str, object]:
    from dataclasses import asdict

    cost = None if row.cost is None else f"{row.cost:f}"
    return {**asdict(row), "seconds": float(row.seconds), "cost": cost, "total_tokens": row.total_tokens}


def _write_csv(rows: Iterable[UsageRow] | Iterable[LedgerRow], name: str, *, is_ledger: bool) -> None:
    from bethink.server.accounts import LedgerRow, UsageRow, write_csv

    kind = LedgerRow if is_ledger else UsageRow
    if name == "-":
        for stream in (sys.stdout,):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(newline="", errors="replace")
        write_csv(rows, kind, sys.stdout)
        return
    try:
        with Path(name).open("w", encoding="utf-8", newline="") as file:
            n_rows = write_csv(rows, kind, file)
    except OSError as error:
        raise UsageError(f"{name} cannot be written: {error.strerror}", "name another file, or - for none") from error
    click.echo(f"wrote {n_rows:,} row{'' if n_rows == 1 else 's'} to {name}", err=True)


# ---- reconcile


@usage.command()
@click.option("--since", type=Moment(), metavar="TIME", help="From 12h, 7d, 4w ago, or a day.")
@click.option(
    "--traces",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The folder of traces; otherwise the home's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@database_option
def reconcile(since: datetime | None, traces: Path | None, as_json: bool, database: str | None) -> int:
    """Hold every row of the ledger against the trace it names. The exit code is 1 where they differ.

    \b
    Examples:
      bethink usage reconcile --since 7d
    """
    from dataclasses import asdict

    from bethink.config import Settings

    with open_accounts(database) as accounts:
        found = accounts.reconcile(traces or Settings.from_env().home / "traces", since)
    if as_json:
        click.echo(json.dumps({**asdict(found), "is_exact": found.is_exact}, ensure_ascii=False, indent=1))
        return 0 if found.is_exact else FAILED
    click.echo(
        f"{found.n_rows:,} rows: {found.n_equal:,} say what their trace says, {found.n_untraced:,} name no trace"
    )
    if found.missing:
        click.echo(f"{len(found.missing):,} name a trace that is not there any more")
    for difference in found.differences:
        ids = one_row(", ".join(difference.request_ids))
        click.echo(f"{ids}: {difference.count} are {difference.ledger:,}, and {difference.trace:,} in its trace")
    return 0 if found.is_exact else FAILED


# ---- prices


@usage.group(no_args_is_help=True)
def prices() -> None:
    """Say what a million tokens of a model cost, from when on.

    Rows of the ledger keep the cost that they were written with; a model without a price is "unpriced", not free.

    \b
    Examples:
      bethink usage prices set qwen3:4b --input 0.10 --answer 0.40
      bethink usage prices list
    """


@prices.command("set", no_args_is_help=True)
@click.argument("model")
@click.option("--input", "input_", required=True, type=Amount(), metavar="AMOUNT", help="Tokens that were read.")
@click.option(
    "--cached", type=Amount(), metavar="AMOUNT", help="Read before, and not computed again.  [default: input]"
)
@click.option("--answer", required=True, type=Amount(), metavar="AMOUNT", help="Tokens of the answer.")
@click.option("--thinking", type=Amount(), metavar="AMOUNT", help="Tokens of the thought.  [default: answer]")
@click.option("--from", "valid_from", type=Moment(), metavar="TIME", help="From that day on; now otherwise.")
@database_option
def set_(
    model: str,
    input_: Decimal,
    cached: Decimal | None,
    answer: Decimal,
    thinking: Decimal | None,
    valid_from: datetime | None,
    database: str | None,
) -> None:
    """Set the price of a model, or of all whose names fit a pattern. An exact name goes before a pattern.

    \b
    Examples:
      bethink usage prices set qwen3:4b --input 0.10 --cached 0.02 --answer 0.40
      bethink usage prices set "*" --input 0.05 --answer 0.20 --from 2027-01-01
    """
    from bethink.server.accounts import Price

    begins = valid_from or datetime.now(UTC)
    try:
        price = Price(
            model,
            begins,
            input=input_,
            cached=input_ if cached is None else cached,
            thinking=answer if thinking is None else thinking,
            answer=answer,
        )
    except ValueError as error:
        raise UsageError(str(error), "write amounts as 0.15, for a million tokens") from error
    with open_accounts(database) as accounts:
        accounts.prices.add(price)
    click.echo(f"{one_row(model)} has that price from {begins:%Y-%m-%d %H:%M} UTC on")


@prices.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array; amounts of money are text.")
@database_option
def list_(as_json: bool, database: str | None) -> None:
    """List all prices, for a million tokens.

    \b
    Examples:
      bethink usage prices list
    """
    from bethink.cli.usage_view import price_table

    with open_accounts(database) as accounts:
        found = accounts.prices.list()
    if as_json:
        names = ("input", "cached", "thinking", "answer")
        rows = [
            {"model": p.model, "valid_from": p.valid_from.isoformat(), **{n: f"{getattr(p, n):f}" for n in names}}
            for p in found
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    elif found:
        open_terminal().out.print(price_table(found))
    else:
        open_terminal().err.print(Text("there are no prices yet; `bethink usage prices set MODEL …` sets one"))


@prices.command(no_args_is_help=True)
@click.argument("model")
@click.option("--from", "valid_from", type=Moment(), metavar="TIME", help="Only the one from that day on.")
@database_option
def rm(model: str, valid_from: datetime | None, database: str | None) -> None:
    """Remove the prices of a model, or one of them.

    \b
    Examples:
      bethink usage prices rm qwen3:4b --from 2027-01-01
    """
    with open_accounts(database) as accounts:
        n_removed = accounts.prices.remove(model, valid_from)
    click.echo(f"removed {n_removed} price{'' if n_removed == 1 else 's'} of {one_row(model)}")
