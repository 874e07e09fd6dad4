#!/bin/sh
# Measures Coffer beside other backup tools, in interleaved rounds, and prints tables of the results.
#
#   tests/bench.sh                  the short form: under four minutes once everything is built
#   tests/bench.sh --long           1 GiB, a million rows, five rounds: for publishing (about an hour)
#   tests/bench.sh --only sqlite    or tree, copies, large, api, console, scheduler, attacks, footprint, postgresql, mariadb, redis; several with commas
#   tests/bench.sh --only soak      ten minutes of everything at once, killed every minute; --minutes 2 for a look
#   tests/bench.sh --rounds 3
#   tests/bench.sh --publish        also writes tests/bench/results.md
#   tests/bench.sh --debug          the debug build, to try the bench itself
#
# To compare with an older version of Coffer:
#
#   tests/bench.sh --before PATH --only-coffer [--long]
#
#   --before PATH     another Coffer binary takes part in every row of Coffer, in the same rounds and in turns. A table
#                     "Before and after" at the end has the medians of both, their ratio, and its spread over the
#                     rounds (five, unless --rounds says otherwise). The binary must understand the same
#                     configuration and API.
#   --only-coffer     leaves the other tools out, except tar, which the restore of a tree is compared with.
#
# As root, installs the other tools from Debian. COFFER_BENCH_RUSTIC=1 builds rustic with cargo.
set -eu
cd "$(dirname "$0")/.."

publish=""
only_coffer=""
profile="bench"
arguments=""
for argument in "$@"; do
    case "$argument" in
    --publish) publish=1 ;;
    --debug) profile="dev" ;;
    --short) ;;
    *)
        [ "$argument" != --only-coffer ] || only_coffer=1
        arguments="$arguments $argument"
        ;;
    esac
done

needed="curl tar zstd time strip mariabackup mariadbd redis-server pg_basebackup"
packages="curl tar zstd time binutils mariadb-backup mariadb-server redis-server postgresql"
if [ -z "$only_coffer" ]; then
    needed="$needed restic borg sqlite3 pgbackrest rclone"
    packages="$packages restic borgbackup sqlite3 pgbackrest rclone"
fi
missing=""
for tool in $needed; do
    command -v "$tool" >/dev/null 2>&1 || [ -x "/usr/bin/$tool" ] || missing="$missing $tool"
done
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # The packages are words without spaces.
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $packages >/dev/null || echo "could not install all of:$missing" >&2
elif [ -n "$missing" ]; then
    echo "not installed, and left out:$missing" >&2
fi
if [ "${COFFER_BENCH_RUSTIC:-}" = 1 ] && ! command -v rustic >/dev/null; then
    cargo install --locked rustic-rs --root "${CARGO_INSTALL_ROOT:-$HOME/.cargo}"
fi
# The S3 server that copies are sent to, as tests/run.sh installs it.
if [ ! -x target/venv/bin/moto_server ]; then
    mkdir -p target
    python3 -m venv target/venv
    target/venv/bin/pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
    cp tests/clients/requirements.txt target/venv/requirements.txt
fi
PATH="$HOME/.cargo/bin:$PATH"
export PATH

if [ -n "$publish" ]; then
    arguments="$arguments --out tests/bench/results.md"
fi
# Every argument is a word without spaces.
# shellcheck disable=SC2086
exec cargo bench --locked --profile "$profile" --bench peers -- $arguments
