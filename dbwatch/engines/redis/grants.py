"""Owns the least-privilege set-up script for Redis and Valkey. Pure text; runs nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Profile
from dbwatch.engines.redis.rights import rights_of

_START = "on >CHANGE-ME resetkeys resetchannels -@all"
_SCRIPT = """\
# dbwatch on Redis or Valkey (6.2 and newer): the monitoring user. It can read no key and change nothing.
# In full, for every check that is on by default. Choose a password of your own:
ACL SETUSER {user} {start} {full}
# Keep it over a restart, whichever of the two the server uses:
ACL SAVE
CONFIG REWRITE

# Minimal: {least} alone will do for {few} of {all} checks. The others are then skipped or see less:
{lacking}
# ACL SETUSER {user} {start} {least}

# The daemon's page /compat/redis_exporter shows more with these (or turn it off: `compat: false` under the target):
# ACL SETUSER {user} {compat}

# Sentinels have users of their own. There, in place of the above ({extra} is for that page only):
# ACL SETUSER {user} {start} {sentinel}

# Left out, unless you want it: +config|get, by which some checks see more, but the server then shows this user every
# setting, its passwords (requirepass, masterauth) among them. dbwatch asks for none of those. It serves:
{revealed}
# ACL SETUSER {user} +config|get"""


def grants_script(user: str, checks: Sequence[Check], collectors: Sequence[Check] = ()) -> str:
    """Commands for redis-cli that set up `user` for the checks that run by default; the password is a placeholder.

    `collectors` feed the page of redis_exporter, which only a daemon has.
    """
    usual = [check for check in checks if check.enabled and not check.on_demand and check.profile is not Profile.DEEP]
    rights, page = rights_of(usual), rights_of(collectors)
    on_sentinels = tuple(rule for rule in page.on_sentinels if rule not in rights.on_sentinels)
    return _SCRIPT.format(
        user=user,
        start=_START,
        full=" ".join(rights.full),
        least=" ".join(rights.least),
        few=len(usual) - len(rights.wanting_more),
        all=len(usual),
        lacking=_listed(rights.wanting_more),
        compat=" ".join(rule for rule in page.full if rule not in rights.full),
        sentinel=" ".join((*rights.on_sentinels, *on_sentinels)),
        extra=" ".join(on_sentinels) or "nothing",
        revealed=_listed(rights.revealing),
    )


def _listed(names: Sequence[str]) -> str:
    return textwrap.fill(", ".join(names), 116, initial_indent="#   ", subsequent_indent="#   ")
