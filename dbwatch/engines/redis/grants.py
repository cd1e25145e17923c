"""Owns the least-privilege set-up script for Redis and Valkey. Pure text; runs nothing."""

from __future__ import annotations

_SCRIPT = """\
# dbwatch on Redis or Valkey (6.0 and newer): the least-privilege monitoring user.
# Two commands are all it needs; it can read no key and change nothing. Choose a password of your own:
ACL SETUSER {user} on >CHANGE-ME resetkeys resetchannels -@all +info +ping
# Keep it over a restart, whichever of the two the server uses:
ACL SAVE
CONFIG REWRITE"""


def grants_script(user: str) -> str:
    """Commands for redis-cli that set up `user`; the password in it is a placeholder."""
    return _SCRIPT.format(user=user)
