#!/usr/bin/env bash
# Builds packaging/Containerfile with this program and runs the image, as root:
#   tests/debian/container.sh PROGRAM BASE
# BASE is an archive of a Debian system, which stands for debian:bookworm-slim: no registry of images is asked.
# buildah runs the file's own steps and the image's own commands, in a chroot and not in a container, which needs less
# of the machine. Its files are removed at the end.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -eq 2 ] || { echo "usage: $0 PROGRAM BASE" >&2; exit 2; }
program=$(realpath "$1") base=$(realpath "$2")
work=$(mktemp -d "${TMPDIR:-/var/tmp}/coffer-container.XXXXXX")
export STORAGE_DRIVER=overlay BUILDAH_ISOLATION=chroot TMPDIR=$work
server=
finish() {
    # All of its process namespace ends with it.
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
    buildah_here rm --all >/dev/null 2>&1 || true
    buildah_here rmi --all --force >/dev/null 2>&1 || true
    umount "$work/images/overlay" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap finish EXIT

fail() {
    echo "$1" >&2
    exit 1
}

buildah_here() {
    buildah --root "$work/images" --runroot "$work/run" "$@"
}

echo "== the image"
from=$(buildah_here from scratch)
buildah_here add --quiet "$from" "$base" / >/dev/null
buildah_here commit --quiet --rm "$from" docker.io/library/debian:bookworm-slim >/dev/null
install -D "$program" "$work/context/coffer"
buildah_here build --format docker --pull-never --file packaging/Containerfile --tag coffer "$work/context"

of_image() {
    buildah_here inspect --type image --format "$1" localhost/coffer
}
[ "$(of_image '{{.Docker.Config.User}}')" = coffer ] || fail "it does not run as coffer"
[ "$(of_image '{{range $path, $_ := .Docker.Config.Volumes}}{{$path}} {{end}}')" = '/var/lib/coffer ' ] || fail "its data is in no volume"
read -ra check <<<"$(of_image '{{range slice .Docker.Config.Healthcheck.Test 1}}{{.}} {{end}}')"
read -ra start <<<"$(of_image '{{range .Docker.Config.Entrypoint}}{{.}} {{end}}{{range .Docker.Config.Cmd}}{{.}} {{end}}')"
echo "starts: ${start[*]}; healthy: ${check[*]}"

echo "== its server"
container=$(buildah_here from --pull-never localhost/coffer)
# Without a network, so that no port of this machine is taken: the commands use the server's socket.
inside() {
    unshare --net buildah --root "$work/images" --runroot "$work/run" run "$container" -- "$@"
}
for tool in /usr/lib/postgresql/15/bin/pg_basebackup /usr/lib/postgresql/15/bin/postgres mariadb-backup mariadbd redis-cli redis-server zstd; do
    inside sh -c 'command -v "$0"' "$tool" || fail "$tool is not in it"
done
[ "$(inside id -u)" = 8779 ] || fail "it does not run as the user 8779"
! inside "${check[@]}" || fail "it is healthy before it runs"
unshare --net --pid --mount-proc --fork --kill-child \
    buildah --root "$work/images" --runroot "$work/run" run "$container" -- "${start[@]}" &
server=$!
tries=0
until inside "${check[@]}" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail "it is not healthy"
    sleep 0.2
done
inside coffer backup coffer-catalog --wait
inside coffer drill latest:coffer-catalog
inside coffer doctor

echo "== no secret and no data in a layer"
buildah_here run "$(buildah_here from --pull-never localhost/coffer)" -- sh -c \
    '[ -z "$(ls -A /var/lib/coffer /etc/coffer | grep -v :)" ]' || fail "the image has data or settings in it"
