#!/usr/bin/env bash
# api-fuzz.sh - schemathesis against the running system: whatever it makes of /openapi.json has to be answered as described.
#
#   api-fuzz.sh [options of `schemathesis run`]     for instance --max-time 600, or --seed 1
#
# Needs Python 3.10+ with venv. Installs schemathesis below target/, builds `standalone`, starts it in an empty folder
# and stops it again. Ports 1025, 8025, 9092, 3006, 3007 and 3008 must be free. What is tolerated stands in
# api-fuzz.toml and api_fuzz_hooks.py.
set -euo pipefail

ROOT=$(dirname "$(dirname "$(realpath "$0")")")
VERSION=4.32.5
VENV=$ROOT/target/schemathesis-$VERSION
URL=http://127.0.0.1:3006

die() { echo "api-fuzz.sh: $*" >&2; exit 1; }

if [[ ! -x $VENV/bin/schemathesis ]]; then
  python3 -m venv "$VENV"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "schemathesis==$VERSION"
fi
cargo build --manifest-path "$ROOT/Cargo.toml" -p standalone
STANDALONE=${CARGO_TARGET_DIR:-$ROOT/target}/debug/standalone

for port in 1025 8025 9092 3006 3007 3008; do
  if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then die "port $port is in use"; fi
done

WORK=$(mktemp -d)
# All requests come from one address.
(cd "$WORK" && RATE_LIMIT=off exec "$STANDALONE") >"$WORK/log" 2>&1 &
PID=$!
stop() {
  local status=$?
  kill "$PID" 2>/dev/null && wait "$PID" 2>/dev/null || true
  if ((status)); then echo "--- warnings of the services (mails left out)"; grep -E '(WARN|ERROR)' "$WORK/log" | tail -n 20 || true; fi >&2
  rm -rf "$WORK"
  exit "$status"
}
trap stop EXIT

for ((tries = 0; ; tries++)); do
  curl -fsS -o /dev/null "$URL/health/ready" 2>/dev/null && break
  kill -0 "$PID" 2>/dev/null || { cat "$WORK/log" >&2; die "the system ended at its start"; }
  ((tries < 300)) || die "the system is not ready after 60 seconds"
  sleep 0.2
done

cd "$WORK"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/scripts SCHEMATHESIS_HOOKS=api_fuzz_hooks
"$VENV/bin/schemathesis" --config-file "$ROOT/scripts/api-fuzz.toml" run "$URL/openapi.json" \
  --checks all --max-time 90 --continue-on-failure --generation-database none --no-color "$@"
kill -0 "$PID" 2>/dev/null || die "the system did not survive"
