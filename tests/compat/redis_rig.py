"""Redis and Valkey in their roles, each seen by redis_exporter before and after one daemon of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from dbwatch.bundled import bundled
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.model import Engine
from tests.compat.exporters import Exporter
from tests.compat.postgres_rig import Look, Seen
from tests.compat.scraped import Scraped, read_page
from tests.harness import ports
from tests.harness.binaries import RedisKind, redis_server
from tests.harness.daemon import Daemon
from tests.harness.process import ServerProcess, remove_dir, server_dir
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually

EXPORTER = "redis_exporter"
KINDS: Sequence[RedisKind] = ("redis-6.2", "redis-7.0", "redis-8.0", "valkey-9.1")
PAIRS: Sequence[RedisKind] = ("redis-7.0", "redis-8.0", "valkey-9.1")
CLUSTERED: Sequence[RedisKind] = ("redis-8.0", "valkey-9.1")
WITH_SENTINEL: RedisKind = "redis-7.0"
WATCHED = "redis-7-watched"
"""The server redis-7 once more, by a user who may run INFO and PING alone."""
_FAILING = (("LPUSH", "text", "1"), ("NOSUCH",), ("GET",))


@contextmanager
def looked_at() -> Iterator[Look]:
    """Start the servers, let both look at them, and keep all of it for the block."""
    with ExitStack() as running:
        servers = dict(_servers(running))
        exporters = {
            name: running.enter_context(Exporter(EXPORTER, [f"--redis.addr=redis://127.0.0.1:{port}"]))
            for name, port in servers.items()
        }
        before = {name: exporter.scrape("redis_up 1") for name, exporter in exporters.items()}
        daemon = running.enter_context(Daemon(config_text=_config(servers)))
        for name in (*servers, WATCHED):
            _wait_collected(daemon, name)
        ours = {name: read_page(daemon.get(f"/compat/{EXPORTER}/{name}").text) for name in servers}
        after = {name: exporter.scrape("redis_up 1") for name, exporter in exporters.items()}
        seen = {name: Seen(*(_named(page[name]) for page in (before, ours, after))) for name in servers}
        yield Look(seen, next(iter(exporters.values())).version, daemon)


def _servers(running: ExitStack) -> Iterator[tuple[str, int]]:
    for kind in KINDS:
        debug = {} if kind == "redis-6.2" else {"enable-debug-command": "yes"}
        primary = running.enter_context(RedisServer(kind, config={"maxmemory": "50mb", **debug}))
        _stir(primary)
        name = _name(kind)
        yield name, primary.port
        if kind in PAIRS:
            yield f"{name}-replica", primary.replica().port
        if kind == WITH_SENTINEL:
            yield f"{name}-sentinel", _sentinel(running, primary)
    for kind in CLUSTERED:
        node = running.enter_context(RedisServer(kind, config={"cluster-enabled": "yes", "appendonly": "yes"}))
        node.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        _wait_whole(node)
        yield f"{_name(kind)}-cluster", node.port


def _name(kind: RedisKind) -> str:
    """`redis-7`: a dot may not be in the name of a target."""
    return kind.partition(".")[0]


def _wait_whole(node: RedisServer) -> None:
    eventually(lambda: "cluster_state:ok" in str(node.command("CLUSTER", "INFO")), what="a whole cluster")


def _stir(server: RedisServer) -> None:
    """Something of everything, and of what is slow exactly this: a slow machine must not add to it later."""
    with server.connect() as session:
        session.set("text", "1")
        session.set("short", "2", ex=1000)
        session.hset("hash", "field", "1")
        session.get("absent")
        session.eval("return 1", 0)
        session.execute_command("ACL", "SETUSER", "watcher", "reset", "on", ">pw", "+info", "+ping")
        with session.pipeline(transaction=False) as pipeline:
            for command in _FAILING:
                pipeline.execute_command(*command)
            pipeline.execute(raise_on_error=False)
        for name, value in (("latency-monitor-threshold", 1), ("slowlog-log-slower-than", 0)):
            session.config_set(name, value)
        session.execute_command("DEBUG", "SLEEP", "0.005")
        for name, value in (("latency-monitor-threshold", 0), ("slowlog-log-slower-than", -1)):
            session.config_set(name, value)


def _sentinel(running: ExitStack, primary: RedisServer) -> int:
    claim = ports.claim()
    running.callback(claim.release)
    folder = server_dir("sentinel")
    running.callback(remove_dir, folder)
    conf = folder / "sentinel.conf"
    conf.write_text(f"port {claim.number}\ndir {folder}\nsentinel monitor main 127.0.0.1 {primary.port} 2\n")
    process = ServerProcess([redis_server(primary.kind), conf, "--sentinel"], log=folder / "log")
    running.callback(process.kill)
    return claim.number


def _config(servers: Mapping[str, int]) -> str:
    """No checks: what this is about is there as soon as the collectors have run."""
    urls = {name: f"redis://127.0.0.1:{port}/0" for name, port in servers.items()}
    urls[WATCHED] = f"redis://watcher:pw@127.0.0.1:{servers[WATCHED.removesuffix('-watched')]}/0"
    targets = "".join(f"  - {{name: {name}, engine: redis, url: '{url}'}}\n" for name, url in urls.items())
    return f"defaults:\n  checks: {{disable: ['*']}}\ntargets:\n{targets}"


def _wait_collected(daemon: Daemon, target: str) -> None:
    """Until every collector has run once."""
    count = len(load_collectors([bundled("checks")]).of(Engine.REDIS))
    path = f"/compat/{EXPORTER}/{target}"
    eventually(
        lambda: daemon.get(path).text.count("\ndbwatch_compat_series_dropped_total{") == count,
        timeout=60,
        what=f"{count} collectors of {target}",
    )


def _named(page: Mapping[str, Scraped]) -> Mapping[str, Scraped]:
    """Without the labels that say nothing: an empty one is the same as none."""
    return {
        name: Scraped(
            family.kind,
            {frozenset(pair for pair in labels if pair[1]): value for labels, value in family.samples.items()},
        )
        for name, family in page.items()
    }
