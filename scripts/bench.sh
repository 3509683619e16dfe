#!/usr/bin/env bash
# bench.sh - builds the release binaries of both services and of the bench, and measures.
#
#   bench.sh SCENARIO [OPTIONS]      see bench.sh --help; `all` runs every scenario
#   bench.sh refill                  runs all scenarios and writes their tables to docs/results/performance.md
#
# Needs JDK 17+, and Maven for the first run (see kafka.sh). `drain` compares with Postfix's smtp-source if that is installed
# (Debian: apt-get install postfix). Nothing else should run on the machine.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

if [[ ${1:-} == refill ]]; then
  shift
  set -- all --markdown docs/results/performance.md "$@"
fi

scripts/release-binaries.sh
cargo build --locked --release -p bench
scripts/kafka.sh install >/dev/null
exec "${CARGO_TARGET_DIR:-target}/release/bench" "$@"
