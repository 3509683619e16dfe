#!/usr/bin/env bash
# lint-monitoring.sh - holds the alert rules to their tests, and the dashboard to its form and to Prometheus' syntax.
#
# Needs promtool (of Debian's package prometheus, which install-tools.sh unpacks) and python3. That every metric named there exists is tested by
# `cargo test -p standalone`, which scrapes both services.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../deploy/monitoring"
PATH=$PATH:$(realpath -m ../../target/tools)

promtool check config prometheus.yml
promtool test rules alerts_test.yml

expressions=$(mktemp --suffix .json)
trap 'rm -f "$expressions"' EXIT
python3 ../../scripts/lint_dashboard.py dashboard.json >"$expressions"
promtool check rules "$expressions"
