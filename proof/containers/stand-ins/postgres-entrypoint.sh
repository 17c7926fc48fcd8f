#!/bin/sh
# As the original does for a user who is not root: makes the cluster at the first start, runs
# /docker-entrypoint-initdb.d on a server that listens on its socket only, then starts the real one.
set -eu
bin=/usr/lib/postgresql/18/bin
export PGDATA
if [ "${1-}" != postgres ]; then exec "$@"; fi
if [ -n "${POSTGRES_PASSWORD_FILE-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
server() { LD_LIBRARY_PATH=/usr/lib/postgresql/18/lib "$bin/$@"; }
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
  printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
  # The variable holds several options.
  # shellcheck disable=SC2086
  server initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=/tmp/password ${POSTGRES_INITDB_ARGS-}
  rm /tmp/password
  # Whoever has the password may come from every address; the network of compose is the bound.
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  server pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" start
  export PGHOST=/var/run/postgresql PGUSER="$POSTGRES_USER" PGPASSWORD="$POSTGRES_PASSWORD"
  psql -v ON_ERROR_STOP=1 -d postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
  for script in /docker-entrypoint-initdb.d/*.sql; do
    psql -v ON_ERROR_STOP=1 --no-psqlrc -d "$POSTGRES_DB" -f "$script"
  done
  server pg_ctl -D "$PGDATA" -m fast -w stop
fi
unset POSTGRES_PASSWORD
shift
exec env LD_LIBRARY_PATH=/usr/lib/postgresql/18/lib "$bin/postgres" -c listen_addresses='*' \
  -c unix_socket_directories=/var/run/postgresql "$@"
