#!/bin/sh
# Runs "$@" with RECSYS_TEST_POSTGRES naming a throw-away PostgreSQL server on a free loopback port.
# Works as root (the server then runs as user postgres) and as any other user. Exit 3: no server binaries.
set -eu

bin=
for candidate in "$(dirname "$(command -v initdb 2>/dev/null || echo /nowhere/initdb)")" \
    /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin; do
    [ -x "$candidate/initdb" ] && [ -x "$candidate/pg_ctl" ] && bin=$candidate
done
if [ -z "$bin" ]; then
    echo "postgres.sh: no PostgreSQL server binaries (initdb, pg_ctl) found; install postgresql" >&2
    exit 3
fi

owner() { # the server refuses to run as root
    if [ "$(id -u)" = 0 ]; then (cd "$home" && runuser -u postgres -- "$@"); else "$@"; fi
}

home=$(mktemp -d "${TMPDIR:-/tmp}/recsys-postgres.XXXXXX")
stop() {
    status=$?
    trap - EXIT INT TERM
    owner "$bin/pg_ctl" -D "$home/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$home"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# a password of its own, so that the tests see a real one; nothing else on this machine can log in
password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
(umask 077 && printf '%s\n' "$password" >"$home/password")
if [ "$(id -u)" = 0 ]; then chown -R postgres "$home"; fi
owner "$bin/initdb" -D "$home/data" -U recsys --pwfile="$home/password" --auth=scram-sha-256 \
    --encoding=UTF8 --no-locale --no-sync >"$home/initdb.log" 2>&1 || { cat "$home/initdb.log" >&2; exit 1; }

port=
for attempt in 1 2 3 4 5; do # another process may take a port between asking and starting
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    if owner "$bin/pg_ctl" -D "$home/data" -w -t 30 -l "$home/server.log" \
        -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off" \
        start >/dev/null 2>&1; then
        break
    fi
    [ "$attempt" -lt 5 ] || { cat "$home/server.log" >&2; exit 1; }
done

export RECSYS_TEST_POSTGRES="postgresql://recsys:$password@127.0.0.1:$port/postgres"
"$@"
