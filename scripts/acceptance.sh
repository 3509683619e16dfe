#!/usr/bin/env bash
# acceptance.sh - builds the two release binaries and holds them to their promises on a real Apache Kafka.
#
#   acceptance.sh [FILTER] [-- options of the test harness]     --nocapture shows the figures
#
# One test after the other: each starts a broker of its own. Needs JDK 17+, and Maven for the first run
# (see kafka.sh). Whatever a failed test leaves behind is in the folder that it names.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

filter=()
while (($#)) && [[ $1 != -- ]]; do filter+=("$1"); shift; done
(($#)) && shift

scripts/kafka.sh install
# As the images are built: one of the tests has a broker that wants TLS.
scripts/release-binaries.sh
# `--workspace` takes what the workspace's tests have built; with `-p` all of it would be built again, with fewer features.
cargo test --locked --workspace --test real_kafka --features acceptance/real-kafka "${filter[@]}" -- --test-threads 1 "$@"
