"""`bethink keys` and `bethink usage`, as a shell sees them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bethink.cli.main import main
from bethink.cli.terminal import Terminal
from bethink.cli.usage_view import bar, short, usage_table
from bethink.server.accounts import LOCAL, Accounts, UsageLine, UsageRow
from bethink.trace import Trace
from bethink.types import Usage
from tests.unit.cli.conftest import written

Say = Callable[..., tuple[str, str]]


@pytest.fixture
def say(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command that must end with `code`; what it wrote to the two outputs."""
    del home
    monkeypatch.delenv("BETHINK_DATABASE", raising=False)

    def run(*words: str, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        assert main(words) == code, capsys.readouterr().err
        shown = capsys.readouterr()
        return shown.out, shown.err

    return run


@pytest.fixture
def used(home: Path, say: Say) -> Path:
    """A home with two keys that were used yesterday and today, and one request without a key."""
    say("keys", "create", "ci", "--user", "ann")
    say("keys", "create", "demo")
    say("usage", "prices", "set", "m", "--input", "0.5", "--answer", "4", "--from", "2026-01-01")
    now = datetime.now(UTC)
    with Accounts.open(None, home) as accounts:
        for n, (key, model, days) in enumerate([("ci", "m", 1), ("ci", "m", 0), ("demo", "m", 0), ("", "free", 0)]):
            principal = accounts.principal(accounts.directory.key(key).id) if key else LOCAL
            finished_us = int((now - timedelta(days=days)).timestamp() * 1e6)
            line = UsageLine(f"r{n}", model, "openai", "ok", finished_us, 1000, 0, 400, 100, trace_id=f"t{n}")
            accounts.record(principal, line).result(30)
    return home


def test_only_the_secret_goes_to_standard_output(home: Path, say: Say) -> None:
    out, err = say("keys", "create", "laptop", "--scope", "admin", "--expires", "30d", "--models", "a, b:*")
    secret = out.strip()
    assert "not shown again" in err
    assert secret not in err
    with Accounts.open(None, home) as accounts:
        principal = accounts.identify(secret)
    assert (principal.key, principal.scopes, principal.models) == ("laptop", {"admin"}, ("a", "b:*"))
    out, _ = say("keys", "list")
    assert "laptop" in out
    assert secret.rpartition("-")[2] not in out


def test_a_key_as_json_has_its_secret_once(say: Say) -> None:
    made = json.loads(
        say("keys", "create", "ci", "--rpm", "60", "--tpm", "100k", "--monthly-tokens", "2M", "--json")[0]
    )
    assert made["secret"].startswith(f"bt-{made['id']}-")
    assert made["limits"] == {
        "requests_per_minute": 60, "tokens_per_minute": 100_000, "concurrency": None, "tokens_per_month": 2_000_000,
    }  # fmt: skip
    (listed,) = json.loads(say("keys", "list", "--json")[0])
    assert listed == {key: value for key, value in made.items() if key != "secret"}


def test_a_key_is_limited_rotated_and_revoked(home: Path, say: Say) -> None:
    first = say("keys", "create", "ci", "--rpm", "60")[0].strip()
    assert say("keys", "limits", "ci", "--concurrency", "4")[0] == "ci: 60 requests/min, 4 at once\n"
    assert say("keys", "limits", "ci", "--rpm", "none")[0] == say("keys", "limits", "ci")[0] == "ci: 4 at once\n"
    second = say("keys", "rotate", "ci", "--grace", "1h")[0].strip()
    with Accounts.open(None, home) as accounts:
        assert accounts.identify(first) == accounts.identify(second)
    assert "nobody is there to be asked" in say("keys", "revoke", "ci", code=2)[1]
    assert say("keys", "revoke", "-y", "ci")[0] == "ci is revoked\n"
    assert "no keys yet" in say("keys", "list")[1]
    assert "revoked" in say("keys", "list", "--all")[0]
    assert "revoked" in say("keys", "show", "ci")[0]


def test_somebody_who_leaves_loses_every_key(say: Say) -> None:
    assert "no users yet" in say("keys", "users")[1]
    for name in ("a", "b"):
        say("keys", "create", name, "--user", "ann")
    assert re.search(r"ann +default +2", say("keys", "users")[0])
    assert "nobody is there" in say("keys", "revoke", "--user", "ann", code=2)[1]
    assert say("keys", "revoke", "-y", "--user", "ann")[0] == "revoked a (default), b (default)\n"
    assert say("keys", "revoke", "-y", "--user", "ann")[0] == "ann had no key in use\n"
    assert "say which key, or whose" in say("keys", "revoke", "-y", code=2)[1]
    assert [user["n_keys"] for user in json.loads(say("keys", "users", "--json")[0])] == [0]


def test_workspaces_have_limits_and_a_say_about_content(say: Say) -> None:
    say("keys", "workspaces", "create", "research", "--monthly-tokens", "5M")
    out, _ = say("keys", "workspaces", "change", "research", "--logs-content", "--rpm", "9")
    assert out == ("workspace research: limits 9 requests/min, 5,000,000 tokens/month; prompts and answers are kept\n")
    rows = json.loads(say("keys", "workspaces", "list", "--json")[0])
    assert [(row["name"], row["logs_content"]) for row in rows] == [
        ("default", False), ("local", False), ("research", True),
    ]  # fmt: skip
    assert "there is no workspace 'res'" in say("keys", "create", "ci", "--workspace", "res", code=3)[1]


def test_another_database_is_named_by_option_or_environment(
    home: Path, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    say("keys", "create", "there", "--db", url)
    assert "no keys yet" in say("keys", "list")[1]
    monkeypatch.setenv("BETHINK_DATABASE", url)
    assert "there" in say("keys", "list")[0]
    monkeypatch.setenv("BETHINK_DATABASE", "mysql://me:hunter2@host/db")
    _, err = say("keys", "list", code=2)
    assert "not in mysql" in err
    assert "hunter2" not in err
    assert (home / "accounts.db").exists()


def test_usage_is_a_table_with_its_sum(used: Path, say: Say) -> None:
    del used
    out, _ = say("usage")
    today, yesterday = (f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}" for days in (0, 1))
    assert re.search(rf"{yesterday} +1 +1,000 +400 +100 +0\.0025 +\S+", out)
    assert re.search(rf"{today} +3 +3,000 +1,200 +300 +0\.0050\*", out)
    assert "* without 1 request of models that had no price" in out
    assert re.search(r"all +4 +4,000 +1,600 +400 +0\.0075", out)
    assert "cached" not in out
    by_key, _ = say("usage", "--by", "key", "--since", "7d")
    assert re.search(r"ci \(\w{12}\) +2 ", by_key)
    assert "(no key: this machine)" in by_key
    assert re.search(r"ann +2 ", say("usage", "--by", "user")[0])
    assert re.search(r"default +3 ", say("usage", "--by", "workspace")[0])
    assert "demo" not in say("usage", "--by", "key", "--key", "ci")[0]
    assert "local" not in say("usage", "--by", "workspace", "--workspace", "default")[0]
    assert "nothing was used since" in say("usage", "--until", "2020-01-01")[1]


def test_usage_as_json_and_csv(used: Path, say: Say, tmp_path: Path) -> None:
    del used
    rows: list[dict[str, Any]] = json.loads(say("usage", "--by", "model", "--json")[0])
    assert [(row["id"], row["n_requests"], row["total_tokens"], row["cost"]) for row in rows] == [
        ("m", 3, 4500, "0.0075"), ("free", 1, 1500, None),
    ]  # fmt: skip
    file = tmp_path / "out.csv"
    assert "wrote 4 rows" in say("usage", "--by", "request", "--csv", str(file))[1]
    with file.open(encoding="utf-8", newline="") as opened:
        assert [row["request_id"] for row in csv.DictReader(opened)] == ["r0", "r1", "r2", "r3"]
    out, _ = say("usage", "--by", "workspace", "--csv", "-")
    assert out.splitlines()[1].startswith("default,default,3,3000,")
    assert "cannot be written" in say("usage", "--csv", str(tmp_path / "no" / "where.csv"), code=2)[1]


def test_prices_are_set_listed_and_removed(say: Say) -> None:
    assert "no prices yet" in say("usage", "prices", "list")[1]
    say("usage", "prices", "set", "qwen3:*", "--input", "0.10", "--answer", "0.4", "--from", "2026-01-01")
    (price,) = json.loads(say("usage", "prices", "list", "--json")[0])
    assert price == {
        "model": "qwen3:*", "valid_from": "2026-01-01T00:00:00+00:00",
        "input": "0.1", "cached": "0.1", "thinking": "0.4", "answer": "0.4",
    }  # fmt: skip
    assert re.search(r"qwen3:\* +2026-01-01 00:00 +0.1 +0.1 +0.4 +0.4", say("usage", "prices", "list")[0])
    again = ("usage", "prices", "set", "qwen3:*", "--input", "1", "--answer", "1", "--from", "2026-01-01")
    assert "has a price from" in say(*again, code=3)[1]
    assert say("usage", "prices", "rm", "qwen3:*")[0] == "removed 1 price of qwen3:*\n"
    assert "is no price" in say("usage", "prices", "set", "m", "--input", "cheap", "--answer", "1", code=2)[1]


def test_reconcile_says_whether_ledger_and_traces_agree(used: Path, say: Say) -> None:
    def keep(number: int, thinking: int) -> None:
        usage = asdict(Usage(1000, thinking, 100))
        Trace(f"t{number}", "", {}, {}, "", "", [], "", result={"usage": usage}).save(used / "traces")

    keep(0, 400)
    out, _ = say("usage", "reconcile")
    assert out == "4 rows: 1 say what their trace says, 0 name no trace\n3 name a trace that is not there any more\n"
    keep(1, 401)
    out, _ = say("usage", "reconcile", code=1)
    assert "r1: thinking_tokens are 400, and 401 in its trace" in out
    assert json.loads(say("usage", "reconcile", "--json", code=1)[0])["is_exact"] is False


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["keys", "create", "x", "--rpm", "0"], "is no limit"),
        (["keys", "create", "x", "--tpm", "-5"], "is no limit"),
        (["keys", "create", "x", "--monthly-tokens", "9" * 30], "is no limit"),
        (["keys", "create", "x", "--expires", "soon"], "is not an age"),
        (["keys", "create", "x", "--models", ","], "may use no model"),
        (["keys", "create", "a\nb"], "the name of the key"),
        (["keys", "create", "x", "--scope", "root"], "'root' is not one of"),
        (["usage", "--since", "yesterday"], "is no time"),
        (["usage", "--since", "999999w"], "is no time"),
        (["usage", "--by", "colour"], "'colour' is not one of"),
    ],
)
def test_values_that_mean_nothing_are_refused(say: Say, words: list[str], complaint: str) -> None:
    assert complaint in say(*words, code=2)[1]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
def test_a_table_of_usage_fits_its_terminal(make_terminal: Callable[..., Terminal], width: int) -> None:
    counts = (10**9 + 1, 234_567_890, 1000, 987_654_321, 456_789, 12, 3)
    row = UsageRow("k" * 12, "production", *counts, seconds=Decimal(1), cost=Decimal("12345.6"), n_unpriced=2)
    terminal = make_terminal(width=width)
    for by in ("day", "key", "request"):
        terminal.out.print(usage_table([row, row], by, terminal))
    lines = written(terminal.out).splitlines()
    assert max(map(len, lines)) <= width
    if width >= 80:
        assert "…" not in "".join(lines)
        assert any(re.search(r"production.* (235M|234,567,890) .*12,345\.60\*", line) for line in lines)
        assert any(re.search(r"all.* (469M|469,135,780) .*24,691\.20", line) for line in lines)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1.00k"), (99_949, "99.9k"), (999_600, "1.00M"), (2**40, "1100G")],
)
def test_a_number_is_shortened_to_three_digits(number: int, text: str) -> None:
    assert short(number) == text


def test_a_bar_is_as_long_as_its_share() -> None:
    assert [len(bar(n, 100)) for n in (0, 1, 50, 100)] == [0, 1, 10, 20]
    assert bar(1, 100, is_ascii=True) == "#"
    assert bar(0, 0) == ""


def test_without_the_extra_one_sentence_says_so(home: Path) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None; from bethink.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["keys", "list", "--db", "postgresql://host/db"]
    environ = {**os.environ, "BETHINK_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, env=environ
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "hint: pip install 'bethink[postgres]'")


def test_help_loads_no_database(home: Path) -> None:
    del home
    asks = "import sys; from bethink.cli.main import main; main(['keys', 'create', '--help'])"
    program = f"{asks}; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_a_password_is_read_made_changed_and_removed_and_never_an_option(
    say: Say, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    out, err = say("keys", "password", "ann", "--admin")
    assert (out, "correct" in err) == ("", False)
    assert re.search(r"ann +default +1 +yes", say("keys", "users")[0])
    made = say("keys", "password", "ann", "--make")[0].strip()
    with Accounts.open(None, home) as accounts:
        assert accounts.principal(accounts.passwords.open("ann", made).key_id).has("admin")
    assert "no password any more" in say("keys", "password", "ann", "--remove")[0]
    assert "has no password" in say("keys", "password", "ann", "--remove", code=3)[1]
    say("keys", "password", "ann", "--remove", "--make", code=2)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert "no password came in" in say("keys", "password", "ann", code=2)[1]
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert "10 to 500 characters" in say("keys", "password", "ann", code=2)[1]
