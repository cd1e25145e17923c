"""Knocking without credentials: what a stranger is told, whatever the target knows."""

from __future__ import annotations

from dbwatch.deadline import Deadline
from dbwatch.engines.redis.asking import knock
from dbwatch.model import Reason
from tests.conftest import FreshRedis
from tests.redis.targets import target_of


def test_a_stranger_is_told_what_he_is_told(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-7.0", config={"requirepass": "geheim"})
    target = target_of(server.url(db=3))
    refused = knock(target, Deadline.after(20))
    assert refused is not None
    assert refused.reason is Reason.AUTH
    server.command("ACL", "SETUSER", "default", "nopass", "-@all", "+ping", "+acl", "+config|set", "+auth")
    assert knock(target, Deadline.after(20)) is None
    beyond = knock(target, Deadline.after(20), "DBSIZE")
    assert beyond is not None
    assert beyond.reason is Reason.PRIVILEGE
    server.stop()
    gone = knock(target, Deadline.after(20))
    assert gone is not None
    assert gone.reason is Reason.REFUSED
