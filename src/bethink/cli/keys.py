"""`bethink keys`: who may use a server, and how much of it."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from bethink.cli.accounts import (
    database_option,
    day_text,
    given_limits,
    json_option,
    limit_options,
    limits_text,
    open_accounts,
    print_table,
)
from bethink.cli.parameters import Age
from bethink.cli.passwords import password
from bethink.cli.terminal import one_row, open_terminal
from bethink.cli.workspaces import workspaces
from bethink.errors import UsageError

if TYPE_CHECKING:
    from bethink.server.accounts import Accounts, Key, NewKey


@click.group(no_args_is_help=True)
def keys() -> None:
    """Make, list, limit and revoke the keys of a server.

    A key belongs to a workspace (`default` unless you say) and, if you say, to a user. Running servers see every change
    within a second. Secrets are shown once; only a digest is kept.

    \b
    Examples:
      bethink keys create laptop --scope admin
      bethink keys create ci --expires 90d --rpm 60 --monthly-tokens 20M
      bethink keys list
      bethink keys revoke ci
    """


@keys.command(no_args_is_help=True)
@click.argument("name")
@click.option("--workspace", default="default", show_default=True, metavar="NAME", help="The workspace it belongs to.")
@click.option("--user", metavar="NAME", help="Whose it is.")
@click.option("--expires", "lifetime_s", type=Age(), metavar="TIME", help="Ends after 12h, 30d, 8w; never otherwise.")
@click.option("--models", metavar="NAMES", help='The models it may use, as "qwen3:*, smollm2:135m"; all otherwise.')
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["inference", "batches", "admin"]),
    help="What it opens, once for each; admin opens everything.  [default: inference, batches]",
)
@limit_options
@json_option
@database_option
def create(
    name: str,
    workspace: str,
    user: str | None,
    lifetime_s: float | None,
    models: str | None,
    scopes: tuple[Any, ...],
    as_json: bool,
    database: str | None,
    **limits: int | None,
) -> None:
    """Make a key and print its secret, this once.

    Only the secret goes to standard output.

    \b
    Examples:
      bethink keys create laptop --scope admin
      bethink keys create ci --workspace research --user ann --expires 90d
      KEY=$(bethink keys create demo --rpm 20 --concurrency 2)
    """
    with open_accounts(database) as accounts:
        from bethink.server.accounts import DEFAULT_SCOPES

        made = accounts.directory.create_key(
            name,
            workspace=workspace,
            user=user,
            scopes=frozenset(scopes) or DEFAULT_SCOPES,
            models=None if models is None else [word.strip() for word in models.split(",") if word.strip()],
            limits=given_limits(limits),
            expires_us=None if lifetime_s is None else int((time.time() + lifetime_s) * 1e6),
        )
    _show_secret(made, as_json=as_json)


@keys.command("list")
@click.option("--workspace", metavar="NAME", help="Only those of this workspace.")
@click.option("-a", "--all", "shows_all", is_flag=True, help="Also those that were revoked.")
@json_option
@database_option
def list_(workspace: str | None, shows_all: bool, as_json: bool, database: str | None) -> None:
    """List keys, without their secrets, which nobody has.

    \b
    Examples:
      bethink keys list
      bethink keys list --workspace research --all --json
    """
    with open_accounts(database) as accounts:
        found = accounts.directory.keys(workspace, with_revoked=shows_all)
    if as_json:
        click.echo(json.dumps([_object(key) for key in found], ensure_ascii=False, indent=1))
        return
    if not found:
        click.echo("there are no keys yet; `bethink keys create NAME` makes one", err=True)
        return
    rows = [
        (key.name, key.id, key.workspace, key.user or "", _scopes(key), limits_text(key.limits), _state(key))
        for key in found
    ]
    print_table(("name", "id", "workspace", "user", "scopes", "limits", "state"), rows)


@keys.command(no_args_is_help=True)
@click.argument("name", metavar="NAME|ID")
@json_option
@database_option
def show(name: str, as_json: bool, database: str | None) -> None:
    """Show one key and what it used this month.

    \b
    Examples:
      bethink keys show ci
    """
    from datetime import UTC, datetime

    with open_accounts(database) as accounts:
        key = accounts.directory.key(name)
        month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        used = sum(row.total_tokens for row in accounts.usage("key", month, key=key.id))
    if as_json:
        click.echo(json.dumps({**_object(key), "tokens_this_month": used}, ensure_ascii=False, indent=1))
        return
    rows = [
        ("name", key.name),
        ("id", key.id),
        ("workspace", key.workspace),
        ("user", key.user or ""),
        ("state", _state(key)),
        ("scopes", _scopes(key)),
        ("models", ", ".join(key.models) if key.models else "all"),
        ("limits", limits_text(key.limits)),
        ("created", day_text(key.created_us)),
        ("used", f"{used:,} tokens this month"),
    ]
    terminal = open_terminal()
    grid = Table.grid(padding=(0, 2))
    for title, value in rows:
        if value:
            grid.add_row(Text(title, style="bold"), Text(one_row(value)))
    terminal.out.print(grid)


@keys.command(no_args_is_help=True, short_help="Make a key, or all of somebody, open nothing any more.")
@click.argument("name", metavar="[NAME|ID]", required=False)
@click.option("--user", metavar="NAME", help="Every key of this user instead.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@database_option
def revoke(name: str | None, user: str | None, yes: bool, database: str | None) -> None:
    """Make a key open nothing any more, for good; or all keys of somebody who leaves.

    \b
    Examples:
      bethink keys revoke ci
      bethink keys revoke --user ann
    """
    if (name is None) == (user is None):
        raise UsageError("say which key, or whose", "bethink keys revoke NAME, or bethink keys revoke --user NAME")
    with open_accounts(database) as accounts:
        if user is not None or name is None:
            _revoke_user(accounts, user or "", yes=yes)
            return
        key = accounts.directory.key(name)
        if not yes and key.revoked_us is None and not _agreed(f"revoke the key {key.name} ({key.workspace}) for good?"):
            click.echo(f"{one_row(key.name)} stays")
            return
        accounts.directory.revoke_key(key.id)
    click.echo(f"{one_row(key.name)} is revoked")


def _revoke_user(accounts: Accounts, user: str, *, yes: bool) -> None:
    if not yes and not _agreed(f"revoke every key of {user} for good?"):
        click.echo(f"the keys of {one_row(user)} stay")
        return
    ended = accounts.directory.revoke_user(user)
    names = ", ".join(f"{one_row(key.name)} ({one_row(key.workspace)})" for key in ended)
    click.echo(f"revoked {names}" if ended else f"{one_row(user)} had no key in use")


@keys.command()
@json_option
@database_option
def users(as_json: bool, database: str | None) -> None:
    """List users, and how many keys of theirs are in use. A user is made with their first key.

    \b
    Examples:
      bethink keys users
    """
    from dataclasses import asdict

    with open_accounts(database) as accounts:
        found = accounts.directory.users()
    if as_json:
        click.echo(json.dumps([asdict(user) for user in found], ensure_ascii=False, indent=1))
    elif found:
        rows = [(u.name, u.workspace, str(u.n_keys), "yes" if u.has_password else "") for u in found]
        print_table(("name", "workspace", "keys", "password"), rows)
    else:
        click.echo("there are no users yet; `bethink keys create NAME --user USER` makes one", err=True)


@keys.command(no_args_is_help=True)
@click.argument("name", metavar="NAME|ID")
@click.option(
    "--grace", "grace_s", type=Age(), metavar="TIME", help="The old secret goes on for 12h, 7d; not otherwise."
)
@json_option
@database_option
def rotate(name: str, grace_s: float | None, as_json: bool, database: str | None) -> None:
    """Give a key a new secret; its name, limits and usage stay.

    \b
    Examples:
      bethink keys rotate ci --grace 24h
    """
    with open_accounts(database) as accounts:
        made = accounts.directory.rotate_key(name, grace_s=grace_s or 0.0)
    _show_secret(made, as_json=as_json)


@keys.command(no_args_is_help=True)
@click.argument("name", metavar="NAME|ID")
@limit_options
@database_option
def limits(name: str, database: str | None, **values: int | None) -> None:
    """Change the limits of a key, or show them. `none` takes one away.

    \b
    Examples:
      bethink keys limits ci
      bethink keys limits ci --rpm 120 --tpm none
    """
    with open_accounts(database) as accounts:
        key = accounts.directory.key(name)
        changed = given_limits(values, key.limits)
        key = accounts.directory.change_key(key.id, limits=changed) if changed else key
    click.echo(f"{one_row(key.name)}: {limits_text(key.limits)}")


keys.add_command(workspaces)
keys.add_command(password)


# ---- what they print


def _show_secret(made: NewKey, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**_object(made.key), "secret": made.secret}, ensure_ascii=False, indent=1))
        return
    click.echo(made.secret)
    about = f"this is the key {one_row(made.key.name)!r} of the workspace {one_row(made.key.workspace)!r}"
    click.echo(f"{about}; it is not shown again. Use it so:", err=True)
    click.echo("  export OPENAI_BASE_URL=http://ADDRESS/v1   # where `bethink serve` listens", err=True)
    click.echo(f"  export OPENAI_API_KEY=bt-{made.key.id}-…", err=True)


def _object(key: Key) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "id": key.id,
        "name": key.name,
        "workspace": key.workspace,
        "user": key.user,
        "state": key.state(int(time.time() * 1e6)),
        "scopes": sorted(key.scopes),
        "models": key.models,
        "limits": asdict(key.limits),
        "created": day_text(key.created_us),
        "expires": day_text(key.expires_us) or None,
        "revoked": day_text(key.revoked_us) or None,
    }


def _scopes(key: Key) -> str:
    return ", ".join(sorted(key.scopes))


def _state(key: Key) -> str:
    match key.state(int(time.time() * 1e6)):
        case "revoked":
            return f"revoked {day_text(key.revoked_us)}"
        case "expired":
            return f"expired {day_text(key.expires_us)}"
        case "active":
            return "active" if key.expires_us is None else f"until {day_text(key.expires_us)}"


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked", "give -y to do it without asking")
    return click.confirm(question)
