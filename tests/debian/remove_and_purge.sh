#!/usr/bin/env bash
# In a Debian system, with or without systemd: what becomes of the backups when the package is removed or purged.
set -euo pipefail
cd /checkout

package=$(echo target/debian/coffer_*.deb)
data=/var/lib/coffer
systemd=
[ ! -d /run/systemd/system ] || systemd=1

fail() {
    echo "$1" >&2
    exit 1
}

# Every file of the data directory and of the configuration, with its owner, mode and checksum.
contents() {
    find "$data" /etc/coffer -printf '%p %u:%g %m\n' | sort
    find "$data" /etc/coffer -type f -print0 | sort -z | xargs -0 sha256sum
}

# Installs the package and makes a backup, by the service, or by a server that is started as the unit starts it.
install_and_back_up() {
    DEBIAN_FRONTEND=noninteractive dpkg -i "$package"
    local server=
    if [ -z "$systemd" ]; then
        local start user remembered
        user=$(of_unit User)
        read -ra start <<<"$(of_unit ExecStart)"
        remembered=$(of_unit Environment | grep IDENTITY_FILE)
        install -d -m 0700 -o "$user" -g "$user" "/var/lib/coffer-identity"
        setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs env "$remembered" "${start[@]}" &
        server=$!
    fi
    local tries=0
    until coffer backup coffer-catalog --wait 2>/tmp/refused; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail "the server does not answer: $(cat /tmp/refused)"
        sleep 0.2
    done
    [ -z "$server" ] || { kill "$server"; wait "$server"; }
}

of_unit() {
    sed -n "s/^$1=//p" packaging/coffer.service
}

[ -z "$systemd" ] || systemctl stop coffer 2>/dev/null || true

echo "== removed: everything stays"
install_and_back_up
[ -z "$systemd" ] || systemctl stop coffer
echo '# mine' >>/etc/coffer/coffer.toml
before=$(contents)
archives=$(find "$data/archives" -name '*.zst' | wc -l)
[ "$archives" -ge 1 ] || fail "there is no archive"
dpkg --remove coffer
[ ! -e /usr/bin/coffer ] || fail "the program is still there"
[ "$(contents)" = "$before" ] || fail "a removal changed something"

echo "== purged where nobody can be asked: the backups stay"
DEBIAN_FRONTEND=noninteractive dpkg --purge coffer 2>&1 </dev/null | tee /tmp/said
grep -q "$data with all backups is kept" /tmp/said || fail "it does not say that they are kept"
[ "$(find "$data/archives" -name '*.zst' | wc -l)" -eq "$archives" ] || fail "a purge removed archives"
[ ! -e /etc/coffer/coffer.toml ] || fail "a purge left the configuration"

# Answers the question of a purge at a terminal.
purge_and_say() {
    printf '%s\n' "$1" | DEBIAN_FRONTEND=readline TERM=dumb script --quiet --return --command "dpkg --purge coffer" /tmp/asked
    grep -q 'Remove all backups of Coffer as well' /tmp/asked || fail "the purge does not ask"
}

echo "== purged, and the answer is no: they stay, and are there after the next installation"
install_and_back_up
[ "$(find "$data/archives" -name '*.zst' | wc -l)" -eq $((archives + 1)) ] || fail "the kept archives are not used"
purge_and_say no
[ "$(find "$data/archives" -name '*.zst' | wc -l)" -eq $((archives + 1)) ] || fail "a no removed archives"

echo "== purged, and the answer is yes: they go, but not what is on another disk"
DEBIAN_FRONTEND=noninteractive dpkg -i "$package"
[ -z "$systemd" ] || systemctl stop coffer
mkdir "$data/disk"
mount -t tmpfs disk "$data/disk"
touch "$data/disk/kept"
purge_and_say yes
[ -e "$data/disk/kept" ] || fail "a file on another disk was removed"
umount "$data/disk"
[ ! -e "$data/archives" ] && [ ! -e "$data/catalog.db" ] && [ ! -e /var/lib/coffer-identity ] || fail "a yes left something"

echo "== purged with the answer given in advance"
rm -rf "$data"
install_and_back_up
echo 'coffer coffer/remove-backups boolean true' | debconf-set-selections
DEBIAN_FRONTEND=noninteractive dpkg --purge coffer
[ ! -e "$data" ] || fail "the answer given in advance is not used"
! debconf-show coffer | grep . || fail "debconf still knows the package"
