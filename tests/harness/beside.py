"""Owns what is done beside a test: in a thread, from the begin of a `with` block to its end."""

from __future__ import annotations

from abc import abstractmethod
from threading import Event, Thread
from typing import Self

from tests.harness.lifetime import Lifetime


class Beside(Lifetime):
    """`with Crowd(port):` does its `work` meanwhile, which leaves soon after `ending` is set."""

    def __init__(self, name: str) -> None:
        self.ending = Event()
        self._thread = Thread(target=self.work, name=name, daemon=True)

    @abstractmethod
    def work(self) -> None: ...

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self.ending.set()
        if self._thread.ident is not None:
            self._thread.join(30)
