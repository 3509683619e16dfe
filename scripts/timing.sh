#!/usr/bin/env bash
# timing.sh - measures whether the time of an answer reveals if an address is new, pending, tried, verified or forgotten. There are
# two real brokers, one of them 2 ms slower. It prints a table.
#
#   timing.sh [SAMPLES]     samples of each class of addresses and leader; 10000 by default
set -euo pipefail
TIMING_SAMPLES=${1:-10000} exec "$(dirname "$(realpath "$0")")/acceptance.sh" timing:: -- --nocapture
