#!/bin/sh
# Coffer beside its peers, in one interleaved run, with one table at the end.
#
#   tests/bench.sh                  the short form, under four minutes once everything is built
#   tests/bench.sh --long           1 GiB and a million rows, five rounds: for publishing (about an hour)
#   tests/bench.sh --only sqlite    or tree, large, api, footprint, postgresql, mariadb, redis; several with commas
#   tests/bench.sh --rounds 3
#   tests/bench.sh --publish        also writes tests/bench/results.md
#
# Installs the peers from Debian if it may (as root). COFFER_BENCH_RUSTIC=1 builds rustic with cargo.
set -eu
cd "$(dirname "$0")/.."

publish=""
arguments=""
for argument in "$@"; do
    case "$argument" in
    --publish) publish=1 ;;
    --short) ;;
    *) arguments="$arguments $argument" ;;
    esac
done

missing=""
for tool in restic borg zstd tar sqlite3 time strip pgbackrest mariabackup mariadbd redis-server pg_basebackup; do
    command -v "$tool" >/dev/null 2>&1 || [ -x "/usr/bin/$tool" ] || missing="$missing $tool"
done
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install -y --no-install-recommends restic borgbackup zstd tar sqlite3 time binutils \
        pgbackrest mariadb-backup mariadb-server redis-server postgresql >/dev/null || echo "not all peers could be installed:$missing" >&2
elif [ -n "$missing" ]; then
    echo "left out, because they are not installed:$missing" >&2
fi
if [ "${COFFER_BENCH_RUSTIC:-}" = 1 ] && ! command -v rustic >/dev/null; then
    cargo install --locked rustic-rs --root "${CARGO_INSTALL_ROOT:-$HOME/.cargo}"
fi
PATH="$HOME/.cargo/bin:$PATH"
export PATH

if [ -n "$publish" ]; then
    arguments="$arguments --out tests/bench/results.md"
fi
# Every argument is a word without spaces.
# shellcheck disable=SC2086
exec cargo bench --bench peers -- $arguments
