"""Owns which types are integers that soon end, int2 and int4 and the domains over them, and where. Fragments of SQL."""

from __future__ import annotations

from typing import Final

TYPE: Final = """join pg_catalog.pg_type as t
    on t.oid = a.atttypid
    and (t.oid in (21, 23) or t.typbasetype in (21, 23))"""
"""Joins the type `t` of an attribute `a`, narrow ones only."""

LAST: Final = """case
      when 21 in (t.oid, t.typbasetype) then 32767
      else 2147483647
    end"""
"""The last number of `t`."""
