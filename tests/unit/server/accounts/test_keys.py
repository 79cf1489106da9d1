"""Who has a key is known by it; everybody else learns nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from bethink.errors import (
    AccountExists,
    ExpiredKey,
    ModelNotAllowed,
    RevokedKey,
    ScopeMissing,
    Unauthorized,
    UnknownAccount,
    UnknownKey,
    UsageError,
)
from bethink.server.accounts import LOCAL, Accounts, Limits, NewKey
from bethink.server.accounts.database import open_database
from bethink.server.accounts.secret import new_key_id, new_secret, parse_secret
from bethink.server.accounts.tables import keys
from tests.unit.server.accounts.conftest import HandClock, wait_until


def test_a_key_says_who_asks_and_what_they_may(accounts: Accounts) -> None:
    accounts.directory.create_workspace("research", logs_content=True)
    made = accounts.directory.create_key("ci", workspace="research", user="Zoë", models=["qwen3:*", "smollm2:135m"])
    principal = accounts.identify(made.secret)
    assert (principal.workspace, principal.user, principal.key, principal.key_id) == (
        "research", "Zoë", "ci", made.key.id,
    )  # fmt: skip
    assert principal.logs_content
    assert not principal.is_local
    assert principal.may_use("qwen3:4b")
    assert not principal.may_use("qwen2.5-coder:0.5b")
    with pytest.raises(ModelNotAllowed, match=r"may not use the model qwen2\.5") as refused:
        principal.require_model("qwen2.5-coder:0.5b")
    assert refused.value.hint == "it may use: qwen3:*, smollm2:135m"
    principal.require("inference")
    with pytest.raises(ScopeMissing, match="needs the scope admin"):
        principal.require("admin")
    assert accounts.principal(made.key.id) == principal


def test_admin_opens_everything_and_a_server_can_ask_for_one(accounts: Accounts, hands: HandClock) -> None:
    assert not accounts.has_admin_key()
    made = accounts.directory.create_key("root", scopes=frozenset({"admin"}), expires_us=int((hands.now_s + 60) * 1e6))
    assert accounts.has_admin_key()
    for scope in ("inference", "batches", "admin"):
        accounts.identify(made.secret).require(scope)
    hands.pass_s(61)
    assert not accounts.has_admin_key()


def test_the_person_on_this_machine_may_everything_and_needs_no_key(accounts: Accounts) -> None:
    assert LOCAL.is_local
    assert LOCAL.has("admin")
    assert accounts.principal("") == accounts.local() == LOCAL
    accounts.directory.change_workspace("local", logs_content=True)
    assert accounts.local().logs_content


def test_only_a_digest_is_kept_and_nothing_shows_the_secret(accounts: Accounts, url: str, tmp_path: Path) -> None:
    made = accounts.directory.create_key("ci")
    assert made.secret not in repr(made)
    engine = open_database(url, tmp_path)
    with engine.begin() as connection:
        row = connection.execute(select(keys)).mappings().one()
    engine.dispose()
    assert made.secret.rpartition("-")[2] not in repr(dict(row))
    assert len(row["digest"]) == 32


def test_every_wrong_key_gets_the_same_words(accounts: Accounts) -> None:
    made = accounts.directory.create_key("ci")
    other = new_secret(made.key.id)  # the right id, a whole key, another secret
    nobody = new_secret(new_key_id())
    words = set[tuple[str, str]]()
    for wrong in (
        "",
        "sk-123",
        made.secret[:-1],
        made.secret + "a",
        made.secret.upper(),
        other,
        nobody,
        "\ud800",
        "é" * 54,
    ):
        with pytest.raises(UnknownKey) as refused:
            accounts.identify(wrong)
        words.add((str(refused.value), refused.value.hint))
    assert len(words) == 1
    accounts.directory.revoke_key("ci")
    with pytest.raises(UnknownKey):
        accounts.identify(other)


@given(data=st.data())
def test_a_key_with_a_typo_is_told_from_a_key(data: st.DataObject) -> None:
    secret = new_secret(new_key_id())
    parsed = parse_secret(secret)
    assert parsed is not None
    place = data.draw(st.integers(0, len(secret) - 1))
    char = data.draw(st.characters())
    typo = secret[:place] + char + secret[place + 1 :]
    assert (parse_secret(typo) is not None) == (typo == secret)


@given(text=st.text(max_size=300))
def test_random_text_is_no_key(text: str) -> None:
    assert parse_secret(text) is None


def test_keys_never_repeat() -> None:
    assert len({new_secret(new_key_id()) for _ in range(2000)}) == 2000


def test_a_key_ends_when_it_expires(accounts: Accounts, hands: HandClock) -> None:
    made = accounts.directory.create_key("short", expires_us=int((hands.now_s + 60) * 1e6))
    hands.pass_s(59.9)
    accounts.identify(made.secret)
    hands.pass_s(0.1)
    with pytest.raises(ExpiredKey):
        accounts.identify(made.secret)
    with pytest.raises(UsageError, match="expired already"):
        accounts.directory.create_key("late", expires_us=int(hands.now_s * 1e6))


@pytest.mark.anyio
async def test_a_revoked_key_opens_nothing_more_also_what_goes_on_by_itself(accounts: Accounts) -> None:
    made = accounts.directory.create_key("ci")
    principal = accounts.identify(made.secret)
    revoked = accounts.directory.revoke_key("ci")
    assert accounts.directory.revoke_key(made.key.id) == revoked, "a second time changes nothing"
    with pytest.raises(RevokedKey):
        accounts.identify(made.secret)
    with pytest.raises(RevokedKey):
        accounts.principal(made.key.id)
    with pytest.raises(RevokedKey):
        await accounts.admit(principal, "m", 1)


def test_what_another_process_changed_is_seen_soon(accounts: Accounts, url: str, tmp_path: Path) -> None:
    def is_known(made: NewKey) -> bool:
        try:
            return accounts.identify(made.secret).key == "theirs"
        except Unauthorized:
            return False

    with Accounts.open(url, tmp_path) as other:
        made = other.directory.create_key("theirs")
        wait_until(lambda: is_known(made))
        other.directory.revoke_key("theirs")
        wait_until(lambda: not is_known(made))


def test_a_rotated_key_keeps_its_name_and_its_old_secret_for_a_while(accounts: Accounts, hands: HandClock) -> None:
    first = accounts.directory.create_key("ci")
    second = accounts.directory.rotate_key("ci", grace_s=60)
    assert second.key.id == first.key.id
    assert accounts.identify(first.secret) == accounts.identify(second.secret)
    hands.pass_s(60)
    with pytest.raises(UnknownKey):
        accounts.identify(first.secret)
    accounts.identify(second.secret)
    third = accounts.directory.rotate_key("ci")
    with pytest.raises(UnknownKey):
        accounts.identify(second.secret)
    accounts.identify(third.secret)
    accounts.directory.revoke_key("ci")
    with pytest.raises(UsageError, match="was revoked and cannot be rotated"):
        accounts.directory.rotate_key(first.key.id)


def test_names_are_taken_by_keys_in_use_only(accounts: Accounts) -> None:
    accounts.directory.create_workspace("other")
    first = accounts.directory.create_key("ci")
    with pytest.raises(AccountExists, match="a key 'ci' is in use in the workspace 'default'"):
        accounts.directory.create_key("ci")
    accounts.directory.create_key("ci", workspace="other")
    with pytest.raises(UnknownAccount, match="2 keys are named 'ci'") as ambiguous:
        accounts.directory.key("ci")
    assert first.key.id in ambiguous.value.hint
    accounts.directory.revoke_key(first.key.id)
    assert accounts.directory.key("ci").workspace == "other"
    again = accounts.directory.create_key("ci")
    assert {key.id for key in accounts.directory.keys("default")} == {again.key.id}
    assert len(accounts.directory.keys(with_revoked=True)) == 3
    with pytest.raises(AccountExists, match="workspace 'other' already"):
        accounts.directory.create_workspace("other")


def test_a_user_is_made_with_their_first_key(accounts: Accounts) -> None:
    accounts.directory.create_key("a", user="Ann")
    accounts.directory.create_key("b", user="Ann")
    accounts.directory.revoke_key("b")
    users = accounts.directory.users()
    assert [(user.name, user.workspace, user.n_keys) for user in users] == [("Ann", "default", 1)]


def test_somebody_who_leaves_loses_every_key(accounts: Accounts) -> None:
    accounts.directory.create_workspace("other")
    made = [accounts.directory.create_key(name, user="Ann") for name in ("a", "b")]
    made.append(accounts.directory.create_key("c", user="Ann", workspace="other"))
    stays = accounts.directory.create_key("d", user="Bob")
    assert {key.name for key in accounts.directory.revoke_user("Ann", "default")} == {"a", "b"}
    assert [key.name for key in accounts.directory.revoke_user("Ann")] == ["c"]
    assert accounts.directory.revoke_user("Ann") == []
    for new in made:
        with pytest.raises(RevokedKey):
            accounts.identify(new.secret)
    accounts.identify(stays.secret)
    with pytest.raises(UnknownAccount, match="no user 'ann'"):
        accounts.directory.revoke_user("ann")


def test_limits_are_changed_as_a_whole(accounts: Accounts) -> None:
    accounts.directory.create_key("ci", limits=Limits(requests_per_minute=60))
    assert accounts.directory.change_key("ci", limits=Limits(concurrency=2)).limits == Limits(concurrency=2)
    assert accounts.directory.change_key("ci").limits == Limits(concurrency=2)
    assert (
        accounts.directory.change_workspace("default", limits=Limits(tokens_per_month=5)).limits.tokens_per_month == 5
    )


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1b[31m", "nul\x00", "\ud800", "x" * 101])
def test_names_that_cannot_be_shown_are_refused(accounts: Accounts, name: str) -> None:
    for make in (accounts.directory.create_key, accounts.directory.create_workspace):
        with pytest.raises(UsageError, match="the name of the"):
            make(name)
    with pytest.raises(UsageError):
        accounts.directory.create_key("a", user=name)
    assert accounts.directory.keys() == []


def test_what_is_not_there_is_said(accounts: Accounts) -> None:
    with pytest.raises(UnknownAccount, match="no workspace 'reserach'") as refused:
        accounts.directory.create_key("a", workspace="reserach")
    assert "default, local" in refused.value.hint
    with pytest.raises(UnknownAccount, match="no key 'b'"):
        accounts.directory.revoke_key("b")
    with pytest.raises(UnknownAccount, match="no workspace"):
        accounts.directory.keys("nowhere")
    with pytest.raises(UsageError, match="no such scope"):
        accounts.directory.create_key("a", scopes=frozenset({"root"}))  # pyright: ignore[reportArgumentType]  # as hostile input
    with pytest.raises(UsageError, match="may use no model"):
        accounts.directory.create_key("a", models=[])
    with pytest.raises(ValueError, match="at least 1"):
        Limits(concurrency=0)
