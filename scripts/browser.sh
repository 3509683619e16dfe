#!/usr/bin/env bash
# browser.sh - the signup page in a real Chromium, against the whole system in one process.
#
#   browser.sh                     run all browser tests
#   browser.sh tests/link.test.js  run some (paths below browser-tests)
#   browser.sh --screenshot        write docs/signup-page.png instead
#
# Installs what is missing (Debian's chromium, the locked npm packages), builds `standalone`, starts it with a data
# folder of its own and stops it again. Ports 1025, 8025, 9092 and those of the services' addresses must be free.
# Environment: CHROMIUM (/usr/bin/chromium); every variable of the services.
set -euo pipefail

ROOT=$(dirname "$(dirname "$(realpath "$0")")")
TESTS=$ROOT/browser-tests
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
export USER_SERVICE_ADDR=${USER_SERVICE_ADDR:-127.0.0.1:3006}
export USER_SERVICE_ADMIN_ADDR=${USER_SERVICE_ADMIN_ADDR:-127.0.0.1:3008}
export NOTIFICATION_SERVICE_ADDR=${NOTIFICATION_SERVICE_ADDR:-127.0.0.1:3007}
export PAGE_URL=http://$USER_SERVICE_ADDR
# All tests come from one address, and wait for the end of the cool-down; the picture shows the usual one.
export RATE_LIMIT=off RESEND_COOLDOWN=3s
[[ ${1:-} != --screenshot ]] || RESEND_COOLDOWN=60s

die() { echo "browser.sh: $*" >&2; exit 1; }

if [[ ! -x $CHROMIUM ]]; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null || die "install chromium, or set CHROMIUM"
fi
# npm writes this file last: older than the lock file means not installed, or another version.
if [[ ! $TESTS/node_modules/.package-lock.json -nt $TESTS/package-lock.json ]]; then
  PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --prefix "$TESTS" --no-audit --no-fund --loglevel=error
fi
cargo build --manifest-path "$ROOT/Cargo.toml" -p standalone
STANDALONE=${CARGO_TARGET_DIR:-$ROOT/target}/debug/standalone

for port in 1025 8025 9092 "${USER_SERVICE_ADDR##*:}" "${USER_SERVICE_ADMIN_ADDR##*:}" "${NOTIFICATION_SERVICE_ADDR##*:}"; do
  if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then die "port $port is in use"; fi
done

WORK=$(mktemp -d)
(cd "$WORK" && exec "$STANDALONE") >"$WORK/log" 2>&1 &
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
  curl -fsS -o /dev/null "$PAGE_URL/health/ready" 2>/dev/null && break
  kill -0 "$PID" 2>/dev/null || { cat "$WORK/log" >&2; die "the system ended at its start"; }
  ((tries < 300)) || die "the system is not ready after 60 seconds"
  sleep 0.2
done

cd "$TESTS"
if [[ ${1:-} == --screenshot ]]; then
  node screenshot.js "$ROOT/docs/signup-page.png"
else
  (($#)) || set -- tests/*.test.js
  node --test --test-reporter=spec --test-concurrency=1 "$@"
fi
