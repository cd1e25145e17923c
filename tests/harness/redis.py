"""A real Redis or Valkey server of a chosen kind on loopback: started, asked, replicated, ended."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

import redis as client

from tests.harness import ports
from tests.harness.binaries import RedisKind, redis_server
from tests.harness.lifetime import Lifetime
from tests.harness.process import ServerProcess, remove_dir, server_dir
from tests.harness.waiting import eventually

DEFAULTS: Mapping[str, str] = {"bind": "127.0.0.1", "save": '""', "appendonly": "no", "daemonize": "no"}

PASSWORDS = ("requirepass", "masterauth")


class RedisServer(Lifetime):
    """One server. `with RedisServer("redis-7.0", config={"maxmemory": "10mb"}) as server:` starts and ends it.

    `config` is what redis.conf would hold; `requirepass` in it goes into `url()` and into the harness's own
    commands.
    """

    arguments: tuple[str, ...] = ()

    def __init__(self, kind: RedisKind, *, config: Mapping[str, str] | None = None) -> None:
        self.kind: RedisKind = kind
        self.config: dict[str, str] = {**DEFAULTS, **(config or {})}
        self._program = redis_server(kind, tls="tls-port" in self.config)
        self._claim, self._bus = _ports(kind, is_node=self.config.get("cluster-enabled") == "yes")
        self.port = self._claim.number
        self.dir = server_dir(kind)
        self.log = self.dir / "server.log"
        self._process: ServerProcess | None = None
        self._replicas: list[RedisServer] = []

    def start(self, *, timeout: float = 20.0, wait: bool = True) -> Self:
        """Start and wait until it answers PING; with `wait=False` it may still be loading."""
        if self._process is not None and self._process.returncode is None:
            return self
        own = {"port": str(self.port), "dir": str(self.dir), "pidfile": str(self.dir / "redis.pid")}
        if self._bus is not None and self.kind != "redis-6.2":
            own["cluster-port"] = str(self._bus.number)
        conf = self.dir / "redis.conf"
        conf.write_text("".join(_line(name, value) for name, value in {**self.config, **own}.items()))
        self._process = ServerProcess([self._program, conf, *self.arguments], log=self.log)
        if wait:
            self._process.until("answers PING", self.answers, timeout)
        return self

    def stop(self, *, timeout: float = 10.0) -> None:
        """SIGTERM, as a service manager stops it."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill(signal.SIGTERM, grace=timeout)

    def restart(self) -> None:
        """Stop and start on the same port; without persistence configured the data are gone."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it whatever its state, its replicas before it, and remove its folder. Safe to repeat."""
        while self._replicas:
            self._replicas.pop().close()
        self.stop(timeout=2)
        remove_dir(self.dir)
        self._claim.release()
        if self._bus is not None:
            self._bus.release()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.kind} is not running")
        return self._process.pid

    def url(self, *, user: str | None = None, password: str | None = None, db: int = 0, scheme: str = "redis") -> str:
        """A connection URL; without `password` the server's own `requirepass`, if it has one."""
        secret = password if password is not None else self.config.get("requirepass")
        login = f"{quote(user or '', safe='')}:{quote(secret, safe='')}@" if secret is not None else ""
        return f"{scheme}://{login}127.0.0.1:{self.port}/{db}"

    def connect(self, **options: Any) -> client.Redis:
        """A client with text answers, five seconds of patience and no retries; the caller closes it."""
        settings: dict[str, Any] = {"decode_responses": True, "socket_timeout": 5, "retry": None, **options}
        return client.Redis.from_url(self.url(), **settings)

    def command(self, *args: str | float | bytes) -> Any:
        """Run one command on a connection of its own and return its answer."""
        with self.connect() as session:
            return session.execute_command(*args)

    def info(self, section: str = "default") -> dict[str, Any]:
        answer = self.command("INFO", section)
        if not isinstance(answer, dict):
            raise TypeError(f"INFO answered {answer!r}")
        return answer

    def answers(self) -> bool:
        try:
            return bool(self.command("PING"))
        except client.AuthenticationError:
            return True  # ACLs without the default user: it is up, and not for us
        except (client.ConnectionError, client.TimeoutError):
            return False

    def replica(self, *, config: Mapping[str, str] | None = None) -> RedisServer:
        """A replica of this server, started and with its link up; it ends with this server at the latest."""
        inherited = {"masterauth": secret} if (secret := self.config.get("requirepass")) else {}
        inherited |= {"requirepass": secret} if secret else {}
        follow = {"replicaof": f"127.0.0.1 {self.port}", "repl-diskless-sync-delay": "0"}
        self.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        twin = RedisServer(self.kind, config={**inherited, **follow, **(config or {})})
        self._replicas.append(twin)
        twin.start()
        eventually(
            lambda: twin.info("replication").get("master_link_status") == "up",
            timeout=20,
            what=f"the replica's link to {self.kind}",
        )
        return twin

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def _ports(kind: RedisKind, *, is_node: bool) -> tuple[ports.Port, ports.Port | None]:
    """The port, and that of the cluster bus; before Redis 7 the bus is 10,000 above the port and nowhere else."""
    if is_node and kind == "redis-6.2":
        return ports.claim_with_bus()
    return ports.claim(), ports.claim() if is_node else None


def _line(name: str, value: str) -> str:
    """One directive. A value may be several words (`900 1`), a password is one whatever is in it."""
    if name in PASSWORDS:
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} {value}\n"
