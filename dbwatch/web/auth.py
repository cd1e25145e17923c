"""Owns basic authentication: who is asked for a name and a password, and how much work an answer may cost.

A pair that was right is remembered under a keyed hash, so a scraper costs bcrypt once. Everything else waits for one
thread that does bcrypt for all, and never in the event loop: a flood of wrong passwords keeps one core busy and delays
nobody who is known.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from dbwatch.web.users import Users

MOST_REMEMBERED: Final = 256
MOST_WAITING: Final = 32
MOST_WAITING_OF_ONE_ADDRESS: Final = 4


class Answer(StrEnum):
    """What became of an attempt."""

    YES = "yes"
    NO = "no"
    BUSY = "busy"


class Judge:
    """Compares names and passwords. Belongs to one event loop, which alone touches its state."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._asked: dict[bytes, asyncio.Future[bool]] = {}
        self._waiting: Counter[str] = Counter()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dbwatch-password")

    async def judge(self, users: Users, user: bytes, password: bytes, address: str) -> Answer:
        """Whether this pair is right. BUSY when too many are being compared; then nothing was."""
        mark = self._mark(users.identity(user), user, password)
        if mark in self._right:
            self._right.move_to_end(mark)
            return Answer.YES
        asked = self._asked.get(mark)
        if asked is None:
            if len(self._asked) >= MOST_WAITING or self._waiting[address] >= MOST_WAITING_OF_ONE_ADDRESS:
                return Answer.BUSY
            asked = self._ask(mark, users, user, password, address)
        # One who leaves must not take the answer from the others who wait for it.
        return Answer.YES if await asyncio.shield(asked) else Answer.NO

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _ask(self, mark: bytes, users: Users, user: bytes, password: bytes, address: str) -> asyncio.Future[bool]:
        asked = asyncio.get_running_loop().run_in_executor(self._worker, users.accepts, user, password)
        self._asked[mark] = asked
        self._waiting[address] += 1

        def answered(done: asyncio.Future[bool]) -> None:
            del self._asked[mark]
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
            if not done.cancelled() and done.exception() is None and done.result():
                self._right[mark] = None
                while len(self._right) > MOST_REMEMBERED:
                    self._right.popitem(last=False)

        asked.add_done_callback(answered)
        return asked

    def _mark(self, identity: bytes, user: bytes, password: bytes) -> bytes:
        """Stands for a pair. The key is this process's own: nothing in memory can be compared with a list of words."""
        text = b"".join(len(part).to_bytes(4, "big") + part for part in (identity, user, password))
        return hmac.digest(self._key, text, "sha256")


class BasicAuth:
    """Lets through who has a right name and password, or everybody while there are no users. Nothing is exempt."""

    def __init__(self, app: ASGIApp, users: Callable[[], Users | None], judge: Judge) -> None:
        self._app = app
        self._users = users
        self._judge = judge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        users = self._users()
        answer = Answer.YES if users is None else await self._answer(users, scope)
        if answer is Answer.YES:
            await self._app(scope, receive, send)
        elif answer is Answer.BUSY:
            busy = PlainTextResponse("too many passwords to compare\n", status_code=503, headers={"retry-after": "1"})
            await busy(scope, receive, send)
        else:
            challenge = {"www-authenticate": 'Basic realm="dbwatch", charset="UTF-8"', "cache-control": "no-store"}
            await PlainTextResponse("unauthorized\n", status_code=401, headers=challenge)(scope, receive, send)

    async def _answer(self, users: Users, scope: Scope) -> Answer:
        pair = credentials(Headers(scope=scope).getlist("authorization"))
        if pair is None:
            return Answer.NO
        client = scope.get("client")
        return await self._judge.judge(users, *pair, str(client[0]) if client else "")


def credentials(given: list[str]) -> tuple[bytes, bytes] | None:
    """Name and password of the one Authorization header; None when it is not exactly that."""
    if len(given) != 1:
        return None
    scheme, _, encoded = given[0].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
