#!/usr/bin/env bash
# Installs what the tests need and runs them all. Packages are installed on Debian and its derivatives;
# elsewhere the missing ones are listed. Prints one line for each part, and exits with 1 if any failed.
# With --release the Debian package holds an optimised program, as when it is published, which takes some minutes.
# With --debian it is installed in a fresh Debian that runs systemd, README's own commands are typed there, and the image of
# packaging/Containerfile is built and run: five minutes more. Without, it is installed in a copy of this machine's
# system that is thrown away. With --static the program is built without any shared library, and its tour is run in a
# directory with nothing else: five minutes more.
set -euo pipefail
cd "$(dirname "$0")/.."

CARGO_DEB_VERSION=3.8.0
AXE_VERSION=4.14.1
RELEASE=0
DEBIAN=0
STATIC=0
for flag; do
    case $flag in
    --release) RELEASE=1 ;;
    --debian) DEBIAN=1 ;;
    --static) STATIC=1 ;;
    *) echo "usage: $0 [--release] [--debian] [--static]" >&2; exit 2 ;;
    esac
done

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# The Debian packages whose command is missing.
missing_packages() {
    local command package
    while read -r command package; do
        command -v "$command" >/dev/null || echo "$package"
    done <<'LIST'
cc build-essential
curl curl
zstd zstd
tar tar
sqlite3 sqlite3
redis-server redis-server
redis-cli redis-tools
openssl openssl
age age
ssh-keygen openssh-client
setfattr attr
setfacl acl
python3 python3
systemd-analyze systemd
systemd-sysusers systemd
dpkg-deb dpkg
dpkg-shlibdeps dpkg-dev
lintian lintian
mariadbd mariadb-server
mariadb mariadb-client
mariadb-backup mariadb-backup
man man-db
zsh zsh
fish fish
chromium chromium
chromedriver chromium-driver
npm npm
LIST
    [ -e /usr/share/i18n/locales/de_DE ] || echo locales
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || echo postgresql
    compgen -G '/usr/lib*/m*/plugin/ha_spider.so' >/dev/null || echo mariadb-plugin-spider
    compgen -G '/usr/lib*/m*/plugin/ha_connect.so' >/dev/null || echo mariadb-plugin-connect
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    [ "$STATIC" -eq 0 ] || command -v musl-gcc >/dev/null || echo musl-tools
    [ "$DEBIAN" -eq 0 ] || command -v mmdebstrap >/dev/null || echo mmdebstrap
    [ "$DEBIAN" -eq 0 ] || command -v buildah >/dev/null || echo buildah
    [ "$DEBIAN" -eq 0 ] || command -v systemd-nspawn >/dev/null || echo systemd-container
}

install_packages() {
    local -a packages
    mapfile -t packages < <(missing_packages | sort -u)
    [ "${#packages[@]}" -eq 0 ] && return
    if ! command -v apt-get >/dev/null; then
        echo "the tests need these, by their Debian names: ${packages[*]}" >&2
        return 1
    fi
    echo "installing: ${packages[*]}"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${packages[@]}"
}

# The stock clients, an S3 server and OpenStack Swift, and Keystone, each in a virtual environment.
install_clients() {
    install_from_pypi tests/clients/requirements.txt target/venv
}

install_keystone() {
    install_from_pypi tests/clients/keystone_requirements.txt target/venv-keystone
}

# A virtual environment with these packages, recreated when their versions change.
install_from_pypi() {
    local wanted=$1 venv=$2
    cmp -s "$wanted" "$venv/requirements.txt" && return
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/requirements.txt"
}

# `promtool` checks what is shipped for Prometheus. Debian's package has it, and much else that is not needed.
install_promtool() {
    command -v promtool >/dev/null && return
    [ -x target/tools/bin/promtool ] && return
    local folder
    folder=$(mktemp -d)
    (cd "$folder" && { apt-get download -q prometheus || { as_root apt-get update -q && apt-get download -q prometheus; }; })
    mkdir -p target/tools/bin
    dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$folder/promtool"
    install -m 755 "$folder/promtool" target/tools/bin/promtool
    rm -rf "$folder"
}

install_cargo_deb() {
    target/tools/bin/cargo-deb --version 2>/dev/null | grep -qF "$CARGO_DEB_VERSION" && return
    cargo install cargo-deb --debug --locked --version "$CARGO_DEB_VERSION" --root target/tools --target-dir target/tools/build
}

clients() {
    install_clients
    cargo build --locked
    target/venv/bin/python -B tests/clients/stock_clients.py target/debug/coffer
}

# The stock clients against a real Keystone and Coffer. It waits for a good part of its time.
keystone() {
    install_clients
    install_keystone
    cargo build --locked
    target/venv/bin/python -B tests/clients/keystone_clients.py target/debug/coffer target/venv-keystone/bin/python
}

# The backup scenario of Trove's tests. It waits for most of its time.
tempest() {
    install_clients
    cargo build --locked
    target/venv/bin/python -B tests/clients/tempest_backups.py target/debug/coffer
}

# What says whether everybody can use a page.
install_axe() {
    local folder=target/tools/axe
    [ -e "$folder/$AXE_VERSION" ] && return
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && npm pack --silent "axe-core@$AXE_VERSION" && tar -xzf axe-core-*.tgz package/axe.min.js)
    touch "$folder/$AXE_VERSION"
}

# The console in a real browser. What it looks like is in target/console. An optimised program shows a page within 200 ms; one
# that is not, on a machine that runs other tests beside it, gets more.
console() {
    install_clients
    install_keystone
    install_axe
    local program=target/debug/coffer most=2000
    if [ "$RELEASE" -eq 1 ]; then
        cargo build --release --locked
        program=target/release/coffer most=200
    else
        cargo build --locked
    fi
    target/venv/bin/python -B tests/console/console.py "$program" target/tools/axe/package/axe.min.js target/console \
        target/venv-keystone/bin/python "$most"
}

# Random requests, whose answers must be as /openapi.json says. `--deep` after the program's path takes longer.
api_schema() {
    install_clients
    cargo build --locked
    target/venv/bin/python -B tests/clients/api_schema.py target/debug/coffer
}

# Builds the Debian package, checks its content and installs it in a system that is thrown away. Its program is the one that the other
# tests have built, but for --release.
package() {
    install_cargo_deb
    local folder=target/package-test
    rm -rf "$folder"
    mkdir -p "$folder"
    if [ "$RELEASE" -eq 1 ]; then
        PATH="$PWD/target/tools/bin:$PATH" packaging/build-deb.sh --output "$folder/coffer.deb"
    else
        cargo build --locked
        install -Ds "${CARGO_TARGET_DIR:-target}/debug/coffer" "$folder/build/release/coffer"
        PATH="$PWD/target/tools/bin:$PATH" CARGO_TARGET_DIR="$PWD/$folder/build" \
            packaging/build-deb.sh --as-built --fast --output "$folder/coffer.deb"
    fi
    dpkg-deb --info "$folder/coffer.deb" | tee "$folder/info"
    TZ=UTC dpkg-deb --contents "$folder/coffer.deb" | tee "$folder/contents"
    dpkg-deb --extract "$folder/coffer.deb" "$folder/root"
    dpkg-deb --control "$folder/coffer.deb" "$folder/control"
    local line
    while read -r line; do
        grep -qE -- "$line\$" "$folder/contents" || { echo "not in the package: $line" >&2; return 1; }
    done <<'LIST'
^-rwxr-xr-x (0/0|root/root) .* \./usr/bin/coffer
^-rw-r----- (0/0|root/root) .* \./etc/coffer/coffer\.toml
^-rw-r--r-- (0/0|root/root) .* \./(usr/)?lib/systemd/system/coffer\.service
^-rw-r--r-- (0/0|root/root) .* \./usr/lib/sysusers\.d/coffer\.conf
^-rw-r--r-- (0/0|root/root) .* \./usr/lib/tmpfiles\.d/coffer\.conf
^-rw-r--r-- (0/0|root/root) .* \./usr/share/doc/coffer/default\.toml
^-rw-r--r-- (0/0|root/root) .* \./usr/share/doc/coffer/prometheus/coffer\.rules\.yml
^-rw-r--r-- (0/0|root/root) .* \./usr/share/doc/coffer/grafana/coffer\.json
^-rw-r--r-- (0/0|root/root) .* \./usr/share/doc/coffer/troubleshooting\.md
^-rw-r--r-- (0/0|root/root) .* \./usr/share/doc/coffer/engines/sqlite\.md
^-rw-r--r-- (0/0|root/root) .* \./usr/share/doc/coffer/copyright
^-rw-r--r-- (0/0|root/root) .* \./usr/share/man/man1/coffer\.1\.gz
^-rw-r--r-- (0/0|root/root) .* \./usr/share/man/man1/coffer-restore-undo\.1\.gz
^-rw-r--r-- (0/0|root/root) .* \./usr/share/bash-completion/completions/coffer
^-rw-r--r-- (0/0|root/root) .* \./usr/share/zsh/vendor-completions/_coffer
^-rw-r--r-- (0/0|root/root) .* \./usr/share/fish/vendor_completions\.d/coffer\.fish
LIST
    grep -qx /etc/coffer/coffer.toml "$folder/control/conffiles"
    local script
    for script in config postinst prerm postrm; do
        sh -n "$folder/control/$script"
        if grep -q '#DEBHELPER#' "$folder/control/$script"; then
            echo "$script still has the mark for systemd's part" >&2
            return 1
        fi
    done
    grep -q 'deb-systemd-invoke' "$folder/control/postinst"
    lintian --allow-root --fail-on error "$folder/coffer.deb"
    "$folder/root/usr/bin/coffer" --version
    # The tour, with the program in the package.
    "$folder/root/usr/bin/coffer" demo
    as_root tests/debian/run.sh "$folder/coffer.deb"
    [ "$DEBIAN" -eq 0 ] && return
    as_root tests/debian/run.sh --boot "$folder/coffer.deb"
    as_root tests/debian/container.sh "$folder/root/usr/bin/coffer" target/debian-root/bookworm.tar.zst
}

# The program that needs no other file: not even a C library is in the directory that it is run in.
static_program() {
    local target=x86_64-unknown-linux-musl root
    rustup target add "$target"
    cargo build --locked --target "$target"
    root=$(mktemp -d)
    install -s "${CARGO_TARGET_DIR:-target}/$target/debug/coffer" "$root/coffer"
    mkdir -m 1777 "$root/tmp"
    mkdir "$root/proc" "$root/dev"
    touch "$root/dev/null"
    # The tour starts this program again, which it finds in /proc.
    as_root unshare --mount --propagation private sh -euc \
        'mount -t proc proc "$0/proc" && mount --bind /dev/null "$0/dev/null" && exec chroot "$0" /coffer demo' "$root" || { rm -rf "$root"; return 1; }
    rm -rf "$root"
}

# Runs `cargo test` with the arguments given. Up to three tests that fail run once more, one at a time: one that
# passes only then is unsteady, which is a fault in it or in the program, and the last lines name it. What failed
# tests wrote is repeated at the end.
cargo_test() {
    local log=target/tests.log
    mkdir -p target
    cargo test --locked --no-fail-fast "$@" 2>&1 | tee "$log" && return
    local -a failed
    # The beginning of what each failed test wrote, up to the log of its server.
    awk '/^---- .* stdout ----$/ { print ""; left = 12 } left > 0 { print substr($0, 1, 1500); left-- }' "$log" >>target/failures
    mapfile -t failed < <(sed -nE 's/^test (\S+) \.\.\. FAILED$/\1/p' "$log" | sort -u)
    [ "${#failed[@]}" -ge 1 ] && [ "${#failed[@]}" -le 3 ] || return 1
    echo "once more: ${failed[*]}"
    [ "$#" -gt 0 ] || set -- --lib --tests
    cargo test --locked "$@" -- --exact --test-threads=1 "${failed[@]}" || return 1
    printf '%s\n' "${failed[@]}" >>target/unsteady
}

# Runs one part in a subshell, so that `set -e` applies to it, and continues if it fails.
part() {
    local name=$1 started=$SECONDS outcome=passed
    shift
    printf '\n== %s\n' "$name"
    set +e
    (set -e; "$@")
    [ $? -eq 0 ] || outcome=FAILED
    set -e
    printf '%-6s %s (%s s)\n' "$outcome" "$name" $((SECONDS - started)) >>target/results
}

# Runs a part while the next ones run, until `wait_for_other`, which prints what it wrote.
other_part() {
    part "$@" >"target/other.$2.log" 2>&1 &
}

wait_for_other() {
    wait
    cat target/other.*.log
    rm target/other.*.log
}

mkdir -p target
rm -f target/unsteady target/failures target/results target/other.*.log
part "packages the tests need" install_packages
other_part "Keystone from PyPI" install_keystone
part "packages from PyPI" install_clients
part "promtool" install_promtool
wait_for_other
part "tests" cargo_test
part "power cuts" cargo_test --features failpoints --test crash
other_part "stock clients" clients
part "API schema" api_schema
wait_for_other
part "console in a browser" console
other_part "Trove's tempest plugin" tempest
other_part "stock clients with Keystone" keystone
part "Debian package" package
wait_for_other
[ "$STATIC" -eq 0 ] || part "static program" static_program

[ ! -s target/failures ] || cat target/failures
printf '\n'
cat target/results
[ ! -s target/unsteady ] || sed 's/^/unsteady, passed at its second try: /' target/unsteady
if grep -q '^FAILED' target/results; then
    echo "not all passed"
    exit 1
fi
echo "all passed"
