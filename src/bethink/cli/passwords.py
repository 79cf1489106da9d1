"""`bethink keys password`: with what a person logs in to the chat page.

What always holds: a password comes from the keyboard unseen, or from standard input; never from an option, which every
user of the machine could read.
"""

from __future__ import annotations

import sys

import click

from bethink.cli.accounts import database_option, open_accounts
from bethink.cli.terminal import one_row
from bethink.errors import UsageError


@click.command(no_args_is_help=True, short_help="Set the password of a user of the chat page.")
@click.argument("user")
@click.option("--workspace", default="default", show_default=True, metavar="NAME", help="The workspace of the user.")
@click.option("--admin/--no-admin", "is_admin", default=None, help="Whether they may administer this server.")
@click.option("--make", "makes", is_flag=True, help="Make a password, and print it this once.")
@click.option("--remove", "removes", is_flag=True, help="They come with a key from now on, or not at all.")
@database_option
def password(
    user: str, workspace: str, is_admin: bool | None, makes: bool, removes: bool, database: str | None
) -> None:
    """Set the password with which a user logs in to the chat page. Their logins end.

    It is asked for, or read from standard input. The user is made where there is none, and can change it on the page.
    A password logs in as a key of its own, "USER by password": limits, models and expiry are that key's.

    \b
    Examples:
      bethink keys password ann --make
      bethink keys password ann --workspace research < secret.txt
      bethink keys password ann --remove
    """
    if removes and (makes or is_admin is not None):
        raise UsageError("--remove goes with neither --make nor --admin", "remove it first, then set a new one")
    with open_accounts(database) as accounts:
        if removes:
            accounts.passwords.remove(user, workspace=workspace)
            click.echo(f"{one_row(user)} has no password any more")
            return
        from bethink.server.accounts.hashing import new_password

        chosen = new_password() if makes else _asked(user)
        accounts.passwords.set(user, chosen, workspace=workspace, is_admin=is_admin)
    if makes:
        click.echo(chosen)
    click.echo(f"{one_row(user)} logs in to the page with this password from now on", err=True)


def _asked(user: str) -> str:
    """Raises: UsageError: nothing came."""
    if sys.stdin.isatty():
        return str(click.prompt(f"the password of {user}", hide_input=True, confirmation_prompt=True, err=True))
    given = sys.stdin.readline(2000).rstrip("\r\n")
    if not given:
        raise UsageError("no password came in", "write one line to standard input, or let --make make one")
    return given
