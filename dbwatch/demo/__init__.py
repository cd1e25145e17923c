"""`dbwatch demo`: an embedded PostgreSQL and Redis with planted faults, watched live. Leaves nothing behind."""

from dbwatch.demo.show import run_demo

__all__ = ["run_demo"]
