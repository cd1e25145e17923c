"""Real servers for the tests: found, started on loopback, broken on purpose, and never left behind.

One module a thing: `postgres`, `redis`, `pgbouncer`, `prometheus` and `daemon` run programs; `proxy`,
`freeze` and `fakepg` break the way to them; `binaries` and `install` find and fetch them. Nothing here
imports the product.
"""
