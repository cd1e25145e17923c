"""Owns which types are integers that soon end, int2 and int4 and the domains over them, and where. Fragments of SQL."""

from __future__ import annotations

from typing import Final

TYPE: Final = """join pg_catalog.pg_type as t
    on t.oid = a.atttypid
    and t.typoutput in (39::pg_catalog.regproc, 43::pg_catalog.regproc)"""
"""Joins the type `t` of an attribute `a`, narrow ones only: a domain, also over a domain, is printed as its base."""

LAST: Final = """case
      when t.typoutput = 39::pg_catalog.regproc then 32767
      else 2147483647
    end"""
"""The last number of `t`."""
