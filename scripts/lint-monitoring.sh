#!/usr/bin/env bash
# lint-monitoring.sh - runs the tests of the alert rules, and checks the dashboard's form and its Prometheus queries.
#
# Needs promtool (from Debian's package prometheus, which install-tools.sh unpacks) and python3. `cargo test -p standalone` scrapes both
# services and tests that every metric in these files exists.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../deploy/monitoring"
PATH=$PATH:$(realpath -m ../../target/tools)

promtool check config prometheus.yml
promtool test rules alerts_test.yml

expressions=$(mktemp --suffix .json)
trap 'rm -f "$expressions"' EXIT
python3 ../../scripts/lint_dashboard.py dashboard.json >"$expressions"
promtool check rules "$expressions"
