"""What PostgreSQL and PgBouncer share: libpq's connections, its texts and its errors. Knows neither of them."""
