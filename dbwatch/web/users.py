"""Owns who may come in by name and password. Knows no HTTP and keeps no password.

Every attempt costs the same, whoever is named: one round of bcrypt at the highest cost among all users.
"""

from __future__ import annotations

from collections.abc import Mapping

import bcrypt

from dbwatch.secret import Secret

# What bcrypt has always looked at; this bcrypt refuses more instead of leaving it out.
_LONGEST = 72
_MINIMUM_COST = 4


class Users:
    """Names and the bcrypt hashes of their passwords."""

    __slots__ = ("_hashes", "_most")

    def __init__(self, hashes: Mapping[str, Secret]) -> None:
        self._hashes = {name.encode("utf-8", "surrogatepass"): stored for name, stored in hashes.items()}
        self._most = max((_cost(stored.reveal()) for stored in hashes.values()), default=_MINIMUM_COST)

    def identity(self, user: bytes) -> bytes:
        """What a right answer for this user hangs on: another hash is another user."""
        stored = self._hashes.get(user)
        return stored.reveal().encode() if stored is not None else b""

    def accepts(self, user: bytes, password: bytes) -> bool:
        """Whether this is the user's password. Slow by design; call it where nobody waits."""
        stored = self._hashes.get(user)
        known = stored.reveal() if stored is not None else _decoy(self._most)
        cut = password[:_LONGEST]
        right = bcrypt.checkpw(cut, known.encode())
        # 2^c + 2^c + 2^(c+1) + … + 2^(most-1) = 2^most: the time does not tell whose hash it was.
        for cost in range(_cost(known), self._most):
            bcrypt.checkpw(cut, _decoy(cost).encode())
        return right and stored is not None


def is_usable(stored: Secret) -> bool:
    """Whether bcrypt can compare with this hash; asked at the least cost."""
    text = stored.reveal()
    try:
        bcrypt.checkpw(b"", f"{text[:4]}{_MINIMUM_COST:02}{text[6:]}".encode())
    except ValueError:
        return False
    return True


def _cost(stored: str) -> int:
    return int(stored[4:6])


def _decoy(cost: int) -> str:
    """A hash that no password has been found for."""
    return f"$2b${cost:02}${'.' * 22}{'A' * 31}"
