#!/usr/bin/env bash
# Builds the program and the Debian package; needs cargo-deb. The manual pages and completions in it are written by the
# program that was built, so they say what it understands. Arguments are passed on to cargo-deb, after --as-built,
# which takes the program that lies in target/release already.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
release=$target/release
if [ "${1:-}" = --as-built ]; then
    shift
else
    cargo build --release --locked
fi
rm -rf "$release/manual" "$release/completions"
"$release/coffer" manual "$release/manual"
gzip -9n "$release"/manual/*.1
mkdir "$release/completions"
"$release/coffer" completions bash >"$release/completions/coffer"
"$release/coffer" completions zsh >"$release/completions/_coffer"
"$release/coffer" completions fish >"$release/completions/coffer.fish"
cargo deb --locked --no-build "$@"
