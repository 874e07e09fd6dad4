#!/usr/bin/env bash
# Installs the Debian package as users do, as root:
#   tests/debian/run.sh PACKAGE           in a copy of this machine's system, without systemd: install, remove, purge
#   tests/debian/run.sh --boot PACKAGE    in a fresh Debian with systemd, started by systemd-nspawn: README's own commands
#                                         to the first backup, and after the machine burned, an upgrade, and the above
# What it installs is seen by the tests alone: other mounts, another system, and no network.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The oldest release that the package is for. A package built on a newer one does not install there.
RELEASE=bookworm
# What README's commands use besides what the package asks for.
INCLUDE=systemd,systemd-sysv,dbus,sudo,sqlite3,zstd

boot=
if [ "${1:-}" = --boot ]; then
    boot=1
    shift
fi
[ $# -eq 1 ] || { echo "usage: $0 [--boot] PACKAGE" >&2; exit 2; }
package=$(realpath "$1")

# The mounts made below end with this namespace.
if [ -z "${OWN_MOUNTS:-}" ]; then
    exec env OWN_MOUNTS=1 unshare --mount --propagation private "$0" ${boot:+--boot} "$package"
fi

work=$(mktemp -d "${TMPDIR:-/var/tmp}/coffer-debian.XXXXXX")
root=$work/root
nspawn=
finish() {
    [ -z "$nspawn" ] || { kill -TERM "$nspawn" && wait "$nspawn"; } 2>/dev/null || true
    umount -R "$root" "$work/layers" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap finish EXIT

# What the tests read of the checkout, and a package with an older version.
fill() {
    mkdir -p "$root/checkout/target/debian" "$work/older"
    cp -r README.md packaging "$root/checkout/"
    mkdir "$root/checkout/tests"
    cp -r tests/data tests/debian "$root/checkout/tests/"
    cp "$package" "$root/checkout/target/debian/coffer_$(dpkg-deb --field "$package" Version)_amd64.deb"
    # There is no released version yet. This one differs in its number only; what older versions wrote is in tests/data.
    dpkg-deb --raw-extract "$package" "$work/older"
    sed -i 's/^Version: .*/Version: 0.0.9-1/' "$work/older/DEBIAN/control"
    dpkg-deb -Znone --build "$work/older" "$root/checkout/coffer_older.deb" >/dev/null
    rm -rf "$work/older"
}

# Few devices, and terminals of its own.
devices() {
    local device
    mount -t tmpfs devices "$root/dev"
    for device in null zero random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
}

# This machine's own system, of which everything that is changed is thrown away.
copy_of_this_machine() {
    mkdir -p "$root" "$work/layers"
    mount -t tmpfs layers "$work/layers"
    mkdir "$work/layers/changed" "$work/layers/work"
    if ! mount -t overlay overlay -o "lowerdir=/,upperdir=$work/layers/changed,workdir=$work/layers/work" "$root"; then
        echo "LEFT OUT: this machine has no overlay of its own system, so the package was not installed" >&2
        exit 0
    fi
    mount -t proc proc "$root/proc"
    devices
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t tmpfs tmpfs "$root/var/tmp"
    # Not the service of a Coffer that is installed here.
    rm -rf "$root/var/lib/coffer" "$root/var/lib/coffer-identity" "$root/etc/coffer"
    fill
}

in_copy() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 unshare --net --pid --fork --kill-child \
        chroot "$root" bash -euo pipefail "$@"
}

fresh_debian() {
    local kept=target/debian-root/$RELEASE.tar.zst
    if [ "$(cat "$kept.contents" 2>/dev/null)" != "$INCLUDE" ]; then
        mkdir -p "${kept%/*}"
        mmdebstrap --quiet --variant=minbase --include="$INCLUDE" "$RELEASE" "$kept"
        echo "$INCLUDE" >"$kept.contents"
    fi
    mkdir "$root"
    tar -xf "$kept" -C "$root"
    # What `sudo` asks for.
    echo "127.0.0.1 localhost $(hostname)" >"$root/etc/hosts"
    fill
}

# Starts it, and waits until its systemd has started everything.
start() {
    systemd-nspawn --quiet --directory "$root" --boot --register=no --keep-unit --private-network --link-journal=no \
        --console=pipe </dev/null >"$work/console" 2>&1 &
    nspawn=$!
    init=
    until init=$(pgrep -P "$nspawn") && in_debian -c 'systemctl is-system-running --wait' >"$work/state" 2>/dev/null ||
        grep -q degraded "$work/state"; do
        kill -0 "$nspawn" || { cat "$work/console" >&2; return 1; }
        [ "$SECONDS" -lt 120 ] || { echo "the system is not up: $(cat "$work/state")" >&2; return 1; }
        sleep 0.2
    done
}

in_debian() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        nsenter --target "$init" --all bash -euo pipefail "$@"
}

if [ -z "$boot" ]; then
    copy_of_this_machine
    in_copy /checkout/tests/debian/remove_and_purge.sh
else
    fresh_debian
    start
    in_debian /checkout/tests/debian/first_backup.sh
    in_debian /checkout/tests/debian/burned.sh
    in_debian /checkout/tests/debian/upgrade.sh
    in_debian /checkout/tests/debian/remove_and_purge.sh
fi
