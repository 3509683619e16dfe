#!/usr/bin/env bash
# timing.sh - measures whether the time of an answer tells new, pending, tried, verified and forgotten addresses apart, with two
# real brokers of which one is 2 ms slower, and prints a table.
#
#   timing.sh [SAMPLES]     of each class of addresses and leader; 10000 unless given
set -euo pipefail
TIMING_SAMPLES=${1:-10000} exec "$(dirname "$(realpath "$0")")/acceptance.sh" timing:: -- --nocapture
