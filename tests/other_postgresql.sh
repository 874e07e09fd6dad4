#!/usr/bin/env bash
# Runs tests with another version of PostgreSQL (16 to 18), whose bin, lib and share are in one folder, as root:
#   tests/other_postgresql.sh VERSION FOLDER [TEST…]      (without any test: the survey of every kind of object)
# The version needs ICU and the extensions of contrib. Not part of tests/run.sh: Debian has one version only.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 2 ] || { echo "usage: $0 VERSION FOLDER [TEST…]" >&2; exit 2; }
version=$1 folder=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- postgresql::survey
[ -x "$folder/bin/postgres" ] || { echo "$folder/bin has no postgres" >&2; exit 2; }
only=$(mktemp -d)
trap 'rm -r "$only"' EXIT
chmod 755 "$only"
ln -s "$folder" "$only/$version"
# Seen by these tests alone: their only PostgreSQL is the one in this folder.
unshare --mount --propagation private sh -c \
    'mount --bind "$0" /usr/lib/postgresql && exec cargo test --locked --test program -- --test-threads 1 "$@"' \
    "$only" "$@"
