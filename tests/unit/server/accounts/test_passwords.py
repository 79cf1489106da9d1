"""Passwords: kept as digests, refused alike, slowed down, and ended with their logins."""

from __future__ import annotations

import base64
import hashlib
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from bethink.errors import ExpiredKey, RevokedKey, UnknownAccount, UsageError
from bethink.server.accounts import Accounts
from bethink.server.accounts.attempts import PER_ADDRESS, PER_NAME, Attempts, TooManyTries
from bethink.server.accounts.hashing import check_password, hash_password, is_password, new_password
from bethink.server.accounts.migrating import downgrade, upgrade
from bethink.server.accounts.passwords import WrongPassword
from bethink.server.accounts.sessions import Sessions
from tests.unit.server.accounts.conftest import HandClock

GOOD, BETTER = "correct horse battery", "another staple entirely"


def test_what_is_kept_is_a_salted_digest_with_its_parameters() -> None:
    first, second = hash_password(GOOD), hash_password(GOOD)
    assert first != second
    assert first.startswith("scrypt$14$8$5$")
    assert GOOD not in first
    assert is_password(GOOD, first)
    assert not is_password(GOOD + " ", first)


def test_a_digest_with_older_parameters_still_opens() -> None:
    digest = hashlib.scrypt(GOOD.encode(), salt=b"salt" * 4, n=2**4, r=1, p=1, dklen=32)
    older = "$".join(("scrypt", "4", "1", "1", *(base64.b64encode(part).decode() for part in (b"salt" * 4, digest))))
    assert is_password(GOOD, older)
    assert not is_password(BETTER, older)


@pytest.mark.parametrize("broken", [None, "", "plain text", "scrypt$14$8$5$!$!", "scrypt$14$8$5"])
def test_what_is_no_digest_of_ours_is_nobodys(broken: str | None) -> None:
    assert not is_password(GOOD, broken)


def test_the_same_letters_are_the_same_password_however_they_were_typed() -> None:
    assert is_password("cafe\u0301 au lait, please", hash_password("caf\u00e9 au lait, please"))


@pytest.mark.parametrize("poor", ["", "short", "x" * 501, "aaaaaaaaaaaa", "alice.liddell", "ALICE.LIDDELL"])
def test_a_password_that_anybody_would_try_is_refused_without_being_said(poor: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_password(poor, "alice.liddell")
    assert not poor or poor not in f"{refused.value} {refused.value.hint}"


def test_made_passwords_may_be_chosen_and_differ() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    for one in made:
        check_password(one, "ann")


def test_a_password_opens_a_key_that_is_the_users(accounts: Accounts) -> None:
    accounts.directory.create_key("laptop", user="ann")
    key_id = accounts.passwords.set("ann", GOOD)
    assert accounts.passwords.open("ann", GOOD).key_id == key_id
    who = accounts.principal(key_id)
    assert (who.user, who.workspace, who.has("inference"), who.has("admin")) == ("ann", "default", True, False)
    (user,) = accounts.directory.users()
    assert (user.n_keys, user.has_password) == (2, True)


def test_a_wrong_password_and_a_user_who_is_not_there_are_refused_in_the_same_words(accounts: Accounts) -> None:
    accounts.passwords.set("ann", GOOD)
    accounts.directory.create_key("k", user="without")
    said = set[tuple[str, str, str]]()
    for user, password in (("ann", BETTER), ("nobody", GOOD), ("without", GOOD), ("", GOOD), ("ann", "")):
        with pytest.raises(WrongPassword) as refused:
            accounts.passwords.open(user, password)
        said.add((str(refused.value), refused.value.hint, refused.value.code))
    assert len(said) == 1


def test_users_of_one_name_are_told_apart_by_their_workspace(accounts: Accounts) -> None:
    accounts.directory.create_workspace("research")
    accounts.directory.create_workspace("sales")
    research = accounts.passwords.set("ann", GOOD, workspace="research")
    assert accounts.passwords.open("ann", GOOD).key_id == research
    sales = accounts.passwords.set("ann", BETTER, workspace="sales")
    assert accounts.passwords.open("ann", BETTER, workspace="sales").key_id == sales
    for workspace, password in (("", GOOD), ("sales", GOOD), ("nowhere", GOOD)):
        with pytest.raises(WrongPassword):
            accounts.passwords.open("ann", password, workspace=workspace)
    default = accounts.passwords.set("ann", GOOD + "!")
    assert accounts.passwords.open("ann", GOOD + "!").key_id == default


def test_setting_again_keeps_the_key_and_what_it_may_unless_it_is_said(accounts: Accounts) -> None:
    first = accounts.passwords.set("ann", GOOD, is_admin=True)
    assert accounts.passwords.set("ann", BETTER) == first
    assert accounts.principal(first).has("admin")
    accounts.passwords.set("ann", BETTER, is_admin=False)
    assert not accounts.principal(first).has("admin")


def test_a_revoked_key_closes_the_door_until_a_new_password_is_set(accounts: Accounts) -> None:
    first = accounts.passwords.set("ann", GOOD)
    accounts.directory.revoke_user("ann")
    with pytest.raises(RevokedKey):
        accounts.principal(accounts.passwords.open("ann", GOOD).key_id)
    second = accounts.passwords.set("ann", GOOD)
    assert second != first
    assert accounts.principal(accounts.passwords.open("ann", GOOD).key_id).user == "ann"


def test_a_removed_password_opens_nothing_and_can_be_set_anew(accounts: Accounts) -> None:
    accounts.passwords.set("ann", GOOD)
    accounts.passwords.remove("ann")
    with pytest.raises(WrongPassword):
        accounts.passwords.open("ann", GOOD)
    with pytest.raises(UnknownAccount):
        accounts.passwords.remove("ann")
    assert not accounts.passwords.exist()
    accounts.passwords.set("ann", GOOD)
    assert accounts.passwords.exist()


def test_a_changed_password_ends_every_login_but_the_one_that_changed_it(accounts: Accounts, hands: HandClock) -> None:
    sessions = Sessions(accounts.engine, hands.clock())
    key_id = accounts.passwords.set("ann", GOOD)
    opened = accounts.passwords.open("ann", GOOD)
    here, there = (sessions.open(key_id, opened.changed_us) for _ in range(2))
    other = sessions.open(accounts.directory.create_key("k", user="ann").key.id)
    accounts.passwords.change(accounts.principal(key_id).workspace_id, "ann", GOOD, BETTER, keeps=here)
    sessions.forget()
    assert [sessions.key_of(token) is not None for token in (here, there, other)] == [True, False, True]
    accounts.passwords.set("ann", GOOD)
    sessions.forget()
    assert sessions.key_of(here) is None


def test_a_login_that_was_under_way_when_the_password_changed_does_not_come_about(accounts: Accounts) -> None:
    accounts.passwords.set("ann", GOOD)
    opened = accounts.passwords.open("ann", GOOD)
    accounts.passwords.set("ann", BETTER)
    with pytest.raises(ExpiredKey, match="changed just now"):
        Sessions(accounts.engine).open(opened.key_id, opened.changed_us)


def test_changing_needs_the_old_one_and_a_good_new_one(accounts: Accounts) -> None:
    workspace_id = accounts.principal(accounts.passwords.set("ann", GOOD)).workspace_id
    with pytest.raises(WrongPassword):
        accounts.passwords.change(workspace_id, "ann", BETTER, BETTER)
    with pytest.raises(UsageError, match="10 to 500"):
        accounts.passwords.change(workspace_id, "ann", GOOD, "short")
    with pytest.raises(UnknownAccount):
        accounts.passwords.change(workspace_id, "bob", GOOD, BETTER)
    assert accounts.passwords.open("ann", GOOD)


def test_no_password_is_in_the_database(accounts: Accounts) -> None:
    accounts.passwords.set("ann", GOOD)
    with accounts.engine.begin() as connection:
        rows = [str(tuple(row)) for row in connection.execute(text("SELECT * FROM bt_passwords"))]
    assert len(rows) == 1
    assert "correct" not in rows[0]


def test_expired_logins_open_nothing(accounts: Accounts, hands: HandClock) -> None:
    sessions = Sessions(accounts.engine, hands.clock())
    token = sessions.open(accounts.passwords.set("ann", GOOD))
    hands.pass_s(6.9 * 86400)
    assert sessions.key_of(token)
    hands.pass_s(0.2 * 86400)
    assert sessions.key_of(token) is None


def test_guessing_at_one_name_is_slowed_down_from_wherever_it_comes(hands: HandClock) -> None:
    attempts = Attempts(hands.clock())
    for n in range(PER_NAME.n):
        attempts.take("ann", f"192.0.2.{n}")
    with pytest.raises(TooManyTries) as refused:
        attempts.take("Ann", "198.51.100.1")
    assert refused.value.http_status == 429
    assert 0 < refused.value.retry_after_s <= PER_NAME.every_s
    attempts.take("bob", "198.51.100.1")
    hands.pass_s(PER_NAME.every_s)
    attempts.take("ann", "198.51.100.1")
    with pytest.raises(TooManyTries):
        attempts.take("ann", "198.51.100.1")


def test_guessing_from_one_address_is_slowed_down_whatever_the_name(hands: HandClock) -> None:
    attempts = Attempts(hands.clock())
    for n in range(PER_ADDRESS.n):
        attempts.take(f"user{n}", f"2001:db8::{n + 1:x}")
    with pytest.raises(TooManyTries):
        attempts.take("ann", "2001:db8::ffff")
    attempts.take("ann", "2001:db8:0:1::1")


def test_whoever_knows_the_password_is_never_slowed_down(hands: HandClock) -> None:
    attempts = Attempts(hands.clock())
    for _ in range(200):
        attempts.take("ann", "192.0.2.1")
        attempts.give_back("ann", "192.0.2.1")


def test_many_at_once_are_no_way_around() -> None:
    attempts, passed = Attempts(), list[int]()

    def guess() -> None:
        try:
            attempts.take("ann", "192.0.2.1")
            passed.append(1)
        except TooManyTries:
            pass

    threads = [threading.Thread(target=guess) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == PER_NAME.n


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 100)), max_size=60))
def test_no_pattern_of_guesses_gets_more_tries_than_the_pace_allows(tries: list[tuple[str, float]]) -> None:
    hands = HandClock()
    attempts, n_passed, begun = Attempts(hands.clock()), 0, hands.ticks_s
    for address, wait_s in tries:
        hands.pass_s(wait_s)
        try:
            attempts.take("ann", address)
            n_passed += 1
        except TooManyTries:
            pass
    assert n_passed <= PER_NAME.n + (hands.ticks_s - begun) / PER_NAME.every_s


def test_the_migration_keeps_what_was_there(url: str, tmp_path: Path) -> None:
    with Accounts.open(url, tmp_path) as accounts:
        accounts.passwords.set("ann", GOOD)
        with accounts.engine.begin() as connection:
            downgrade(connection, "0002")
            upgrade(connection)
    with Accounts.open(url, tmp_path) as accounts:
        assert [user.name for user in accounts.directory.users()] == ["ann"]
        accounts.passwords.set("ann", GOOD)
        assert accounts.passwords.open("ann", GOOD)
