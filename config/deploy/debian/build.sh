#!/bin/sh
# Makes target/debian/aqueduct_VERSION_ARCHITECTURE.deb, from the repository's root. Needs cargo-deb.
#
# What is built for others is built with the profile `dist`; `build.sh --built` packs the release binary that is there.
set -eu
cd "$(dirname "$0")/../../.."
if [ "${1:-}" != --built ]; then
    cargo build --locked --profile dist --bin aqueduct
    install -D --strip target/dist/aqueduct target/release/aqueduct
fi
aqueduct=target/release/aqueduct
mkdir -p target/deb/man target/deb/completions
"$aqueduct" man target/deb/man
gzip --best --no-name --force target/deb/man/*.1
"$aqueduct" completions bash > target/deb/completions/aqueduct
"$aqueduct" completions zsh > target/deb/completions/_aqueduct
"$aqueduct" completions fish > target/deb/completions/aqueduct.fish
cargo deb --no-build --no-strip
