#!/usr/bin/env bash
# In a Debian with systemd: an upgrade keeps the data of an older version, which is in tests/data, and the settings.
set -euo pipefail
cd /checkout
export DEBIAN_FRONTEND=noninteractive

trap '[ $? -eq 0 ] || journalctl --no-pager --lines 50 --unit coffer' EXIT
data=/var/lib/coffer
kept=tests/data/archives/0.1.0/states

fail() {
    echo "$1" >&2
    exit 1
}

# The backups with their states, as this project's list shows them.
listed() {
    COFFER_PROJECT=project-a coffer list --limit 0 --json | grep -oE '"(id|status)": "[^"]*"' | sort
}

echo "== the older version, its catalog and its archives"
dpkg --purge coffer 2>/dev/null || true
rm -rf "$data" /var/lib/coffer-identity
dpkg -i coffer_older.deb
systemctl is-active coffer
systemctl stop coffer
rm -rf "$data"/* /var/lib/coffer-identity/*
# Coffer's own SQLite takes JSON as bytes, that of Debian 12 does not.
{ echo 'PRAGMA ignore_check_constraints = ON;'; sed "s|DATA_DIR|$data|g" tests/data/catalog/schema_3.sql; } | sqlite3 "$data/catalog.db"
grep -oE 'file://DATA_DIR/[^"]*' "$kept/backups.json" | sort -u | while read -r location; do
    install -D "$kept/${location##*/}" "$data/${location#file://DATA_DIR/}"
done
printf 'the secret of a kept catalog' >"$data/admin.token"
chown -R coffer: "$data"
printf '[storage]\ntrash_window_s = 86399\n' >>/etc/coffer/coffer.toml
settings=$(sha256sum /etc/coffer/coffer.toml)
archives=$(find "$data/archives" -type f | wc -l)
[ "$(sqlite3 "$data/catalog.db" 'PRAGMA user_version')" -eq 3 ] || fail "this is not the older catalog"

echo "== the upgrade"
dpkg -i target/debian/coffer_*.deb
systemctl is-active coffer
[ "$(dpkg-query -W -f '${Version}' coffer)" != 0.0.9-1 ] || fail "it was not upgraded"
[ "$(sha256sum /etc/coffer/coffer.toml)" = "$settings" ] || fail "the settings were changed"
[ "$(find "$data/archives" -type f | wc -l)" -ge "$archives" ] || fail "archives are gone"
[ "$(sqlite3 "$data/catalog.db" 'PRAGMA user_version')" -gt 3 ] || fail "the catalog is not of the new version"

echo "== what the older version made"
listed
grep -oE '"id": "[^"]*"' "$kept/backups.json" | sort -u | while read -r id; do
    listed | grep -qF "$id" || fail "the backup with $id is gone"
done
COFFER_PROJECT=project-a coffer restore "drill passed" --to /tmp/restored.db
sqlite3 /tmp/restored.db "SELECT id || '|' || name || '|' || price FROM item" >/tmp/restored.txt
id=$(sqlite3 "$data/catalog.db" "SELECT id FROM backups WHERE name = 'drill passed'")
[ "$(tail -n +2 "$kept/$id.txt")" = "$(cat /tmp/restored.txt)" ] || fail "the restore gave something else: $(head -3 /tmp/restored.txt)"
