"""`bethink keys workspaces`: what keys and their usage belong to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from bethink.cli.accounts import (
    database_option,
    given_limits,
    json_option,
    limit_options,
    limits_text,
    open_accounts,
    print_table,
)
from bethink.cli.terminal import one_row

if TYPE_CHECKING:
    from bethink.server.accounts import Workspace


@click.group(no_args_is_help=True, short_help="Make, list and limit workspaces.")
def workspaces() -> None:
    """Make, list and limit workspaces, which keys and their usage belong to.

    \b
    Examples:
      bethink keys workspaces create research --monthly-tokens 500M
      bethink keys workspaces change research --logs-content
    """


logs_option = click.option(
    "--logs-content/--no-logs-content", "logs_content", default=None, help="Whether prompts and answers may be kept."
)


@workspaces.command("create", no_args_is_help=True)
@click.argument("name")
@logs_option
@limit_options
@database_option
def create_workspace(name: str, logs_content: bool | None, database: str | None, **values: int | None) -> None:
    """Make a workspace. Prompts and answers are not kept unless you say so.

    \b
    Examples:
      bethink keys workspaces create research --monthly-tokens 500M --concurrency 16
    """
    with open_accounts(database) as accounts:
        made = accounts.directory.create_workspace(name, given_limits(values), logs_content=bool(logs_content))
    click.echo(f"{_text(made)}; `bethink keys create NAME --workspace {made.name}` makes a key of it")


@workspaces.command("list")
@json_option
@database_option
def list_workspaces(as_json: bool, database: str | None) -> None:
    """List workspaces. `local` is whoever uses this machine without a key.

    \b
    Examples:
      bethink keys workspaces list
    """
    from dataclasses import asdict

    with open_accounts(database) as accounts:
        found = accounts.directory.workspaces()
    if as_json:
        click.echo(json.dumps([asdict(workspace) for workspace in found], ensure_ascii=False, indent=1))
        return
    rows = [(w.name, limits_text(w.limits), "kept" if w.logs_content else "not kept") for w in found]
    print_table(("name", "limits", "prompts and answers"), rows)


@workspaces.command("change", no_args_is_help=True)
@click.argument("name")
@logs_option
@limit_options
@database_option
def change_workspace(name: str, logs_content: bool | None, database: str | None, **values: int | None) -> None:
    """Change the limits of a workspace, or whether content is kept. `none` takes a limit away.

    \b
    Examples:
      bethink keys workspaces change research --monthly-tokens 1000M
    """
    with open_accounts(database) as accounts:
        limits = given_limits(values, accounts.directory.workspace(name).limits)
        changed = accounts.directory.change_workspace(name, limits=limits, logs_content=logs_content)
    click.echo(_text(changed))


def _text(workspace: Workspace) -> str:
    kept = "prompts and answers are kept" if workspace.logs_content else "prompts and answers are not kept"
    return f"workspace {one_row(workspace.name)}: limits {limits_text(workspace.limits)}; {kept}"
