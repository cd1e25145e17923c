-- The monitoring role, made when the database's volume is new (docker-entrypoint-initdb.d). `dbwatch grants` has more.
\set password `cat "${DBWATCH_PASSWORD_FILE:-/run/secrets/dbwatch_password}"`
CREATE ROLE dbwatch LOGIN CONNECTION LIMIT 5 PASSWORD :'password';
GRANT pg_monitor TO dbwatch;
ALTER ROLE dbwatch SET statement_timeout = '15s';
ALTER ROLE dbwatch SET lock_timeout = '200ms';
ALTER ROLE dbwatch SET idle_in_transaction_session_timeout = '20s';
ALTER ROLE dbwatch SET default_transaction_read_only = on;
