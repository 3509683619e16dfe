#!/usr/bin/env bash
# acceptance.sh - builds the two release binaries and tests their promises on a real Apache Kafka.
#
#   acceptance.sh [FILTER] [-- options of the test harness]     --nocapture shows the figures
#
# The tests run one after the other, each with its own broker. Needs JDK 17+, and Maven for the first run
# (see kafka.sh). A failed test names the folder with its data and logs.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

filter=()
while (($#)) && [[ $1 != -- ]]; do filter+=("$1"); shift; done
(($#)) && shift

scripts/kafka.sh install
# With TLS and spans, as in the images: tests have a broker that requires TLS, and a collector.
scripts/release-binaries.sh
# `--workspace` reuses the build of the workspace's tests. `-p` would build everything again, with fewer features.
cargo test --locked --workspace --test real_kafka --features acceptance/real-kafka "${filter[@]}" -- --test-threads 1 "$@"
