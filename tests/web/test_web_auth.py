"""Basic authentication: what is taken, what it costs, and whom it may hold up."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Coroutine
from typing import TypeVar

import bcrypt
import pytest

from dbwatch.secret import Secret
from dbwatch.web import auth
from dbwatch.web.auth import Answer, Judge, credentials
from dbwatch.web.users import Users, is_usable

T = TypeVar("T")


def stored(password: bytes, cost: int = 4) -> Secret:
    return Secret(bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode())


HASH = stored(b"sesame")


class CountedUsers(Users):
    """Counts comparisons, and makes them wait while `held` is not set."""

    def __init__(self) -> None:
        super().__init__({"prom": HASH})
        self.compared = 0
        self.held = threading.Event()
        self.held.set()

    def accepts(self, user: bytes, password: bytes) -> bool:
        self.compared += 1
        assert self.held.wait(30)
        return super().accepts(user, password)


def run(work: Coroutine[object, object, T]) -> T:
    return asyncio.run(work)


@pytest.mark.parametrize(
    ("sent", "pair"),
    [
        ([f"Basic {base64.b64encode(b'a:b').decode()}"], (b"a", b"b")),
        ([f"bAsIc  {base64.b64encode(b'a:b:c').decode()} "], (b"a", b"b:c")),
        ([f"Basic {base64.b64encode(b':').decode()}"], (b"", b"")),
        ([f"Basic {base64.b64encode(bytes(range(58, 256))).decode()}"], (b"", bytes(range(59, 256)))),
        ([], None),
        ([""], None),
        (["Basic"], None),
        (["Basic !!!!"], None),
        (["Basic YTpi\u00e9"], None),
        ([f"Basic {base64.b64encode(b'no colon').decode()}"], None),
        ([f"Bearer {base64.b64encode(b'a:b').decode()}"], None),
        ([f"Basic {base64.b64encode(b'a:b').decode()}"] * 2, None),
    ],
)
def test_credentials_are_read_from_exactly_one_well_formed_header(
    sent: list[str], pair: tuple[bytes, bytes] | None
) -> None:
    assert credentials(sent) == pair


@pytest.mark.parametrize("password", [b"", b"x" * 500, b"nul\0nul", b"\xff\xfe", "pass\u00e9".encode()])
def test_odd_passwords_are_compared_like_any_other(password: bytes) -> None:
    users = Users({"odd": stored(password[:72]), "prom": HASH})
    assert users.accepts(b"odd", password)
    assert not users.accepts(b"prom", password)
    assert not users.accepts(b"nobody", password)


def test_apache_writes_2y_and_it_is_the_same() -> None:
    users = Users({"prom": Secret(HASH.reveal().replace("$2b$", "$2y$"))})
    assert users.accepts(b"prom", b"sesame")
    assert not users.accepts(b"prom", b"sesam")
    assert is_usable(HASH)


def test_every_attempt_costs_the_same_whoever_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    users = Users({"low": stored(b"a", 4), "middle": stored(b"b", 5), "high": stored(b"c", 7)})
    rounds: list[int] = []

    def counted(_: bytes, known: bytes) -> bool:
        rounds.append(2 ** int(known[4:6]))
        return False

    monkeypatch.setattr("bcrypt.checkpw", counted)
    work = set()
    for user in (b"low", b"middle", b"high", b"nobody", b""):
        rounds.clear()
        assert not users.accepts(user, b"guess")
        work.add(sum(rounds))
    assert work == {2**7}


def test_no_printing_of_users_says_a_hash() -> None:
    assert HASH.reveal() not in repr(Users({"prom": HASH})) + str(Users({"prom": HASH}))


def test_a_right_pair_is_compared_once_and_a_wrong_one_each_time() -> None:
    async def ask() -> tuple[list[Answer], int]:
        judge, users = Judge(), CountedUsers()
        pairs = [(b"prom", b"sesame")] * 3 + [(b"prom", b"wrong")] * 2 + [(b"nobody", b"sesame")]
        answers = [await judge.judge(users, *pair, "here") for pair in pairs]
        judge.close()
        return answers, users.compared

    answers, compared = run(ask())
    assert answers == [Answer.YES] * 3 + [Answer.NO] * 3
    assert compared == 4


def test_what_was_right_is_not_after_the_hash_was_changed_or_the_user_removed() -> None:
    async def ask() -> list[Answer]:
        judge = Judge()
        answers = [
            await judge.judge(users, b"prom", b"sesame", "here")
            for users in (Users({"prom": HASH}), Users({"prom": stored(b"other")}), Users({"x": HASH}), Users({}))
        ]
        judge.close()
        return answers

    assert run(ask()) == [Answer.YES, Answer.NO, Answer.NO, Answer.NO]


def test_while_strangers_are_compared_who_is_known_comes_in_and_the_queue_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auth, "MOST_WAITING", 6)

    async def ask() -> None:
        judge, users = Judge(), CountedUsers()
        assert await judge.judge(users, b"prom", b"sesame", "scraper") is Answer.YES
        users.held.clear()
        flood = [
            asyncio.ensure_future(judge.judge(users, b"prom", f"{number}".encode(), "flood")) for number in range(20)
        ]
        twins = [asyncio.ensure_future(judge.judge(users, b"new", b"sesame", "other")) for _ in range(5)]
        await asyncio.sleep(0)
        # The event loop is free, and the one known pair needs nobody's turn.
        assert await judge.judge(users, b"prom", b"sesame", "scraper") is Answer.YES
        third = asyncio.ensure_future(judge.judge(users, b"new", b"1", "third"))
        await asyncio.sleep(0)
        assert await judge.judge(users, b"new", b"2", "fourth") is Answer.BUSY
        assert sum(task.done() for task in flood) == 20 - auth.MOST_WAITING_OF_ONE_ADDRESS
        users.held.set()
        answers = await asyncio.gather(*flood)
        assert answers.count(Answer.NO) == auth.MOST_WAITING_OF_ONE_ADDRESS
        assert answers.count(Answer.BUSY) == 20 - auth.MOST_WAITING_OF_ONE_ADDRESS
        assert await asyncio.gather(third, *twins) == [Answer.NO] * 6
        # One for the known pair, four of the flood, one for five twins, one for the third.
        assert users.compared == 1 + auth.MOST_WAITING_OF_ONE_ADDRESS + 1 + 1
        assert await judge.judge(users, b"new", b"2", "flood") is Answer.NO
        judge.close()

    run(ask())


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MOST_REMEMBERED", 2)

    async def ask() -> int:
        judge, users = Judge(), CountedUsers()
        longest = b"x" * 72
        twice = CountedUsers()
        twice._hashes = {b"prom": stored(longest)}
        # bcrypt looks at 72 bytes: each of these is right, and each is a pair of its own.
        for number in range(5):
            assert await judge.judge(twice, b"prom", longest + str(number).encode(), "here") is Answer.YES
        judge.close()
        assert users.compared == 0
        return len(judge._right)

    assert run(ask()) == 2
