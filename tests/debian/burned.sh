#!/usr/bin/env bash
# In a Debian with systemd, after first_backup.sh: the machine burns, and a new one goes on from the archives, by README's own commands.
set -euo pipefail
cd /checkout
export DEBIAN_FRONTEND=noninteractive

trap '[ $? -eq 0 ] || journalctl --no-pager --lines 50 --unit coffer' EXIT

# The commands of README's section, with a copy of the archives in /mnt/copy.
commands=$(awk '/^## When the machine burned/ { section = 1 } section && /^```sh/ { inside = 1; next } inside && /^```/ { exit } inside' README.md)
[ -n "$commands" ] || { echo "README no longer has these commands" >&2; exit 1; }

# From here on no more than what is asked for is made, and nothing is removed: the copy of the catalog would miss it.
sed -i -e 's/^schedule = .*/schedule = "daily 02:30"/' -e 's/^keep = .*/keep = { last = 100 }/' /etc/coffer/coffer.toml
systemctl reload coffer
COFFER_PROJECT=coffer coffer backup coffer-catalog --wait
coffer backup shop --wait
before=$(coffer list --limit 0 --json | grep -oE '"id": "[^"]*"' | sort)
systemctl stop coffer
mkdir /mnt/copy
cp -a /var/lib/coffer/archives /etc/coffer/coffer.toml /etc/systemd/system/coffer.service.d/override.conf /mnt/copy/

echo "== the machine burns"
dpkg --purge coffer
rm -rf /var/lib/coffer /var/lib/coffer-identity /etc/systemd/system/coffer.service.d

echo "== the new one"
dpkg -i target/debian/coffer_*.deb
systemctl is-active coffer
cp /mnt/copy/coffer.toml /etc/coffer/coffer.toml
install -D /mnt/copy/override.conf /etc/systemd/system/coffer.service.d/override.conf
systemctl daemon-reload
# The disk with the copies still belongs to the machine that burned, so not everything is safe.
eval "${commands/coffer status/coffer status || [ \$? -eq 7 ]}"
! coffer doctor >/tmp/doctor || { echo "doctor does not say whose the place is" >&2; exit 1; }
mends=$(grep -oE 'coffer catalog take-over --place [a-z]+' /tmp/doctor) || { cat /tmp/doctor; exit 1; }
eval "$mends"
systemctl is-active coffer
sqlite3 /srv/shop/shop.db .dump >/tmp/shop
sqlite3 /tmp/shop.db .dump >/tmp/restored
cmp /tmp/shop /tmp/restored || { echo "the restored database differs" >&2; exit 1; }
after=$(coffer list --limit 0 --json | grep -oE '"id": "[^"]*"' | sort)
missing=$(comm -23 <(echo "$before") <(echo "$after"))
[ -z "$missing" ] || { echo "these are gone: $missing" >&2; exit 1; }
# The new machine's own token works, and backups go on.
coffer backup shop --wait
coffer doctor
