"""Who is a stranger's neighbour: addresses that no test machine has, and doors that open or fail in odd ways."""

from __future__ import annotations

import pytest

from dbwatch.engines.redis.listeners import plain_text, strangers
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import RawRow, Reason
from tests.unit.redis.pretended import Server

BOUND = "name=tcp,bind={},port=6379"


class Open(Server):
    """Lets everybody in; `settings` are what CONFIG GET tells, or a refusal."""

    settings: dict[str, str] | None = None
    further: CheckError | None = None

    def ask(self, command: str, *arguments: str) -> object:
        if command == "CONFIG GET" and self.settings is not None:
            return [arguments[0], self.settings[arguments[0]]] if arguments[0] in self.settings else []
        return super().ask(command, *arguments)

    def knock(self, command: str = "PING") -> CheckError | None:
        return None if command == "PING" else self.further

    def look(self) -> RawRow:
        (row,) = strangers(self.context())
        return row


def where(row: RawRow) -> tuple[object, object]:
    return row["from_elsewhere"], row["public"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("8.8.8.8", (1.0, 1.0)),
        ("2001:4860:4860::8888", (1.0, 1.0)),
        ("10.0.0.5", (1.0, 0.0)),
        ("fd00::5", (1.0, 0.0)),
        ("fe80::1%eth0", (1.0, 0.0)),
        ("100.64.0.1", (1.0, 0.0)),
    ],
)
def test_an_address_we_came_by_tells_it_all(host: str, expected: tuple[float, float]) -> None:
    assert where(Open(host=host).look()) == expected


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("127.0.0.1,bind=-::1", (0.0, 0.0)),
        ("127.0.0.53", (0.0, 0.0)),
        ("*,bind=-::*", (1.0, 0.0)),
        ("127.0.0.1,bind=8.8.8.8", (1.0, 1.0)),
        ("10.0.0.5", (1.0, 0.0)),
    ],
)
def test_from_this_machine_the_listeners_tell(bind: str, expected: tuple[float, float]) -> None:
    server = Open(info={"listener0": BOUND.format(bind), "listener1": "name=unix,bind=/run/redis.sock"})
    server.settings = {"protected-mode": "no"}
    assert where(server.look()) == expected


def test_without_a_word_on_protected_mode_nothing_is_known() -> None:
    with pytest.raises(Skipped) as caught:
        Open(info={"listener0": BOUND.format("*")}).look()
    assert caught.value.reason is Reason.PLATFORM
    assert "protected-mode" in str(caught.value)


@pytest.mark.parametrize(
    ("version", "bind", "expected"), [("6.2.14", "", 0.0), ("6.2.14", "10.0.0.5", 1.0), ("7.0.15", "10.0.0.5", 0.0)]
)
def test_protected_mode_of_old_servers_wants_no_bind(version: str, bind: str, expected: float) -> None:
    server = Open(version=version)
    server.settings = {"bind": bind, "port": "6379", "protected-mode": "yes"}
    assert server.look()["from_elsewhere"] == expected


def test_what_a_stranger_may_do() -> None:
    server = Open(host="10.0.0.5")
    assert server.look()["powerful"] == 1.0
    server.further = Skipped(Reason.PRIVILEGE, "NOPERM")
    assert server.look()["powerful"] == 0.0
    server.further = Skipped(Reason.PLATFORM, "renamed")
    assert server.look()["powerful"] is None
    server.further = CheckError(Reason.TIMEOUT, "gone")
    with pytest.raises(CheckError):
        server.look()


def test_a_door_that_nobody_opens_is_no_locked_door() -> None:
    class Gone(Open):
        def knock(self, command: str = "PING") -> CheckError | None:
            return CheckError(Reason.TOO_MANY_CONNECTIONS, "full")

    with pytest.raises(CheckError) as caught:
        Gone(host="10.0.0.5").look()
    assert caught.value.reason is Reason.TOO_MANY_CONNECTIONS
    assert Server(host="10.0.0.5").knock() is not None
    (row,) = strangers(Server(host="10.0.0.5").context())
    assert (row["let_in"], row["from_elsewhere"]) == (0.0, None)


def test_a_server_with_tls_alone_is_not_plain() -> None:
    server = Open()
    server.settings = {"bind": "10.0.0.5", "port": "0", "tls-port": "6379"}
    (row,) = plain_text(server.context())
    assert (row["plain_addresses"], row["offers_tls"]) == (0.0, 1.0)
