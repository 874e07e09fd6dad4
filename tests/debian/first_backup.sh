#!/usr/bin/env bash
# In a fresh Debian: from the package to the first scheduled backup that is proven, and to a restored database, by README's own text.
set -euo pipefail
cd /checkout
export DEBIAN_FRONTEND=noninteractive

# The first block of README with this language that has this line.
block() {
    awk -v language="$1" -v line="$2" '
        $0 == "```" language { inside = 1; text = ""; next }
        $0 == "```" && inside { inside = 0; if (found) { printf "%s", text; exit }; next }
        inside { text = text $0 "\n"; if (index($0, line)) found = 1 }' README.md
}

install=$(block sh 'sudo apt install' | grep '^sudo apt install')
settings=$(block toml 'schedule = "daily 02:30"')
apply=$(block sh 'systemctl reload coffer')
first=$(block sh 'sudo coffer backup shop --wait')
restore=$(block sh 'coffer restore latest:shop --to /srv/shop/restored.db' | head -1)
for text in "$install" "$settings" "$apply" "$first" "$restore"; do
    [ -n "$text" ] || { echo "README no longer has this block" >&2; exit 1; }
done

# What the example speaks of: an application with a user and a database of its own, and a disk.
useradd --system shop
install -d -o shop -g shop -m 0750 /srv/shop
sudo -u shop sqlite3 /srv/shop/shop.db "CREATE TABLE item(name); INSERT INTO item VALUES ('lamp'), ('chair')"
chmod 640 /srv/shop/shop.db
mkdir -p /mnt/nas
mount -t tmpfs nas /mnt/nas
mkdir /mnt/nas/coffer

# The schedule begins a backup each minute: not at an end of one, so that the time below is not mostly the wait for the next.
until [ "$(date +%S)" -ge 10 ] && [ "$(date +%S)" -le 25 ]; do sleep 0.5; done
trap '[ $? -eq 0 ] || journalctl --no-pager --lines 50 --unit coffer' EXIT
started=$SECONDS
eval "$install"
systemctl is-active coffer
# README points to the unit's comments for what the service may not do.
mkdir -p /etc/systemd/system/coffer.service.d
{
    echo '[Service]'
    grep -m 1 -o 'SupplementaryGroups=shop' packaging/coffer.service
    grep -m 1 -o 'ReadWritePaths=/mnt/nas/coffer' packaging/coffer.service
} >/etc/systemd/system/coffer.service.d/override.conf
chown coffer: /mnt/nas/coffer
systemctl daemon-reload
systemctl restart coffer

# A minute of README's night.
printf '%s\n' "${settings/daily 02:30/* * * * *}" >>/etc/coffer/coffer.toml
eval "$apply"
until [ "$(coffer list --json | grep -c '"status": "COMPLETED"')" -ge 1 ]; do
    [ $((SECONDS - started)) -lt 60 ] || { coffer status; echo "no backup after 60 s" >&2; exit 1; }
    sleep 0.5
done
echo "the first proven backup: $((SECONDS - started)) s after the installation began"
coffer show latest:shop

echo "== one that is asked for, and the database that it gives back"
eval "$first"
eval "$restore"
for database in shop restored; do sqlite3 "/srv/shop/$database.db" .dump >"/tmp/$database"; done
cmp /tmp/shop /tmp/restored || { echo "the restored database differs" >&2; exit 1; }

echo "== a database in WAL mode, beside which the service has to write"
sqlite3 /srv/shop/shop.db 'PRAGMA journal_mode = wal'
! coffer doctor >/tmp/doctor || { echo "doctor finds no problem with it" >&2; exit 1; }
grep -F 'ReadWritePaths=/srv/shop' /tmp/doctor || { cat /tmp/doctor; exit 1; }
# What it says, with a group.
chmod g+rw /srv/shop/shop.db*
chmod g+rwxs /srv/shop
echo 'ReadWritePaths=/srv/shop' >>/etc/systemd/system/coffer.service.d/override.conf
systemctl daemon-reload
systemctl restart coffer
coffer doctor
coffer backup shop --wait

echo "== what root's commands leave in the data directory is the service's"
id=$(coffer show latest:shop --json | grep -m1 -oE '"id": "[^"]*"' | cut -d'"' -f4)
coffer verify "$id"
coffer drill "$id"
coffer delete "$id" --with-incrementals
until coffer undelete "$id" 2>/tmp/refused; do
    [ $((SECONDS - started)) -lt 300 ] || { cat /tmp/refused >&2; exit 1; }
    sleep 0.2
done
others=$(find /var/lib/coffer ! -user coffer)
[ -z "$others" ] || { echo "of another user: $others" >&2; exit 1; }
coffer backup shop --wait

echo "== a database in a home, which the unit hides"
install -d -m 755 /home/ada
sqlite3 /home/ada/notes.db "CREATE TABLE note(text)"
printf '[[instances]]\nname = "notes"\nproject_id = "default"\nengine = "sqlite"\nsource = { path = "/home/ada/notes.db" }\n' \
    >>/etc/coffer/coffer.toml
systemctl reload coffer
! coffer doctor >/tmp/doctor || { echo "doctor finds no problem with it" >&2; exit 1; }
line=$(grep -o 'ProtectHome=[a-z-]*' /tmp/doctor | head -1)
! coffer backup notes --wait >/tmp/refused 2>&1 || { echo "it was backed up" >&2; exit 1; }
grep -qF "$line" /tmp/refused || { echo "the failure does not name $line: $(cat /tmp/refused)" >&2; exit 1; }
echo "$line" >>/etc/systemd/system/coffer.service.d/override.conf
systemctl daemon-reload
systemctl restart coffer
coffer doctor
coffer backup notes --wait
