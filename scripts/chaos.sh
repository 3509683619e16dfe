#!/usr/bin/env bash
# chaos.sh - crashes, freezes and cuts the release binaries on a real Apache Kafka by a seeded schedule, and keeps an
# exact ledger of their promises (docs/reliability.md).
#
#   chaos.sh [--minutes N] [--seed S]     3 minutes and a fresh seed by default; the seed is printed first
#
# More than 3 minutes are rounds of 3, each with the next seed and its own system. Exit code 1: a count is beyond its
# bound; the output has the command that repeats the seed. Needs JDK 17+, and Maven for the first run (see kafka.sh).
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

scripts/kafka.sh install
scripts/release-binaries.sh
# Not a release build: it needs little CPU, and the workspace's tests have built most of it. `-p` would build all of that again,
# with fewer features.
cargo build --locked --workspace --bin chaos
# A process that crashes by itself leaves a core in the round's folder, if /proc/sys/kernel/core_pattern is a plain name.
ulimit -c unlimited 2>/dev/null || true
exec "${CARGO_TARGET_DIR:-target}/debug/chaos" "$@"
