#!/usr/bin/env bash
# fuzz/run.sh TARGET SECONDS: libFuzzer on `message`, `wire`, `topology` or `admin`. What it finds lies in fuzz/found/TARGET.
# `cargo fuzz run TARGET` does the same with AddressSanitizer, where it is installed.
set -euo pipefail
cd "$(dirname "$0")"
target=${1:?a target: message, wire, topology or admin} seconds=${2:-60}
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1'
# Named, so that build scripts and macros of the host go without.
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
CARGO_PROFILE_RELEASE_LTO=off RUSTFLAGS="$coverage" \
    cargo +nightly build --release --quiet --target "$host" --bin "$target"
mkdir -p "corpus/$target" "found/$target"
# Something to begin from.
case $target in
message) split --lines=1 --suffix-length=4 ../config/topologies/md-trades/one_of_each.jsonl corpus/message/seed- ;;
topology) for file in ../config/topologies/*/topology.yaml; do cp "$file" "corpus/topology/seed-$(basename "$(dirname "$file")")"; done ;;
wire) printf '1,"a"\n' >corpus/wire/seed-csv ;;
admin) printf 'GET /api/actors HTTP/1.1\r\nHost: localhost\r\n\r\n' >corpus/admin/seed-get ;;
esac
exec "target/$host/release/$target" "corpus/$target" "-artifact_prefix=found/$target/" \
    "-max_total_time=$seconds" -max_len=4096 -rss_limit_mb=2048
