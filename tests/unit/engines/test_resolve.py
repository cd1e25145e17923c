"""Names become addresses before the deadline, or a clear error at it."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from dbwatch.deadline import Deadline
from dbwatch.engines.resolve import resolve
from dbwatch.errors import TargetError
from dbwatch.model import Reason


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fe80::1%lo"])
def test_an_address_is_its_own_answer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    assert resolve(address, 5432, Deadline.after(1)) == (address,)


def test_localhost() -> None:
    assert set(resolve("localhost", 5432, Deadline.after(5))) & {"127.0.0.1", "::1"}


def test_addresses_keep_their_order_and_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(0, 0, 0, "", (address, 1)) for address in ("10.0.0.2", "10.0.0.1", "10.0.0.2")]

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    assert resolve("db.test", None, Deadline.after(1)) == ("10.0.0.2", "10.0.0.1")


@pytest.mark.parametrize("name", ["no.such.host.invalid", "a" * 70 + ".test", "", "b\0c"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(TargetError) as caught:
        resolve(name, 6379, Deadline.after(10))
    assert (caught.value.reason, caught.value.phase) == (Reason.DNS, "resolve")
    assert repr(name) in str(caught.value)


def test_a_dead_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    thaw = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: thaw.wait(30) and [])
    started = time.monotonic()
    try:
        with pytest.raises(TargetError, match="no answer in time"):
            resolve("dead.test", 6379, Deadline.after(0.2))
    finally:
        thaw.set()
    assert time.monotonic() - started < 20
