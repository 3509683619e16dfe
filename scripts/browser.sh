#!/usr/bin/env bash
# browser.sh - the signup page in a real Chromium, against the whole system in one process.
#
#   browser.sh                     run all browser tests
#   browser.sh tests/link.test.js  run some (paths below browser-tests)
#   browser.sh --screenshot        write docs/signup-page.png, pages.png and mails.png instead
#
# Installs missing packages (Debian's chromium, the locked npm packages); standalone.sh has the system that it starts.
# Environment: CHROMIUM (/usr/bin/chromium); every variable of the services.
set -euo pipefail
source "$(dirname "$(realpath "$0")")/standalone.sh"

TESTS=$ROOT/browser-tests
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium} PAGE_URL=$URL
# All tests come from one address and wait for the end of the cool-down, so it is short; the picture shows the usual one.
# CORS_ORIGINS has the origin of a test's own page, RETURN_URLS what tests come from; TEXTS_DIR is a folder that they fill.
export RATE_LIMIT=off WRONG_CODES=off RESEND_COOLDOWN=3s CORS_ORIGINS=http://localhost:3999
export RETURN_URLS=http://localhost:3999/welcome,https://app.example.com
[[ ${1:-} != --screenshot ]] || RESEND_COOLDOWN=60s

if [[ ! -x $CHROMIUM ]]; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null || die "install chromium, or set CHROMIUM"
fi
# npm writes this file last. If it is older than the lock file, the packages are missing or have other versions.
if [[ ! $TESTS/node_modules/.package-lock.json -nt $TESTS/package-lock.json ]]; then
  PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --prefix "$TESTS" --no-audit --no-fund --loglevel=error
fi
STANDALONE_FOLDER=$(mktemp -d)
export TEXTS_DIR=$STANDALONE_FOLDER/texts
mkdir "$TEXTS_DIR"
start_standalone

cd "$TESTS"
if [[ ${1:-} == --screenshot ]]; then
  node screenshot.js "$ROOT/docs/signup-page.png"
  printf 'name = "Acme"\naccent = "#7a1f5c"\nhelp = "help@acme.example"\nfooter = "Acme Ltd., 1 Main Street"\n' >"$TEXTS_DIR/brand.toml"
  # Builds what the workspace's tests have built.
  cargo build --quiet --locked --manifest-path "$ROOT/Cargo.toml" --workspace --bin notification-service
  "${CARGO_TARGET_DIR:-$ROOT/target}/debug/notification-service" mails preview --texts "$TEXTS_DIR" --out "$STANDALONE_FOLDER/preview"
  sleep 15 # until the page has taken the brand
  node pictures.js "$STANDALONE_FOLDER/preview" "$ROOT/docs/pages.png" "$ROOT/docs/mails.png"
else
  (($#)) || set -- tests/*.test.js
  node --test --test-reporter=spec --test-concurrency=1 "$@"
fi
