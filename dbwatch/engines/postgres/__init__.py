"""PostgreSQL through psycopg 3: guarded, read-only, one connection and one spare."""
