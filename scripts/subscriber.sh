#!/usr/bin/env bash
# subscriber.sh - the example subscriber's tests: alone, then with real Kafka and the release binaries of both services.
#
#   subscriber.sh                                       all of them
#   subscriber.sh -k who_begins_late                    some (options of python3 -m unittest)
#
# Installs the locked packages into target/subscriber-venv; needs Python 3.11+ with venv, JDK 17+, and Maven for the first run
# (see kafka.sh). It uses free ports. A failed run names the folder with its data and logs.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

TARGET=${CARGO_TARGET_DIR:-$PWD/target}
VENV=$TARGET/subscriber-venv
LOCK=examples/subscriber/tests/requirements.txt
if ! cmp -s "$LOCK" "$VENV/installed.txt"; then
  python3 -m venv --clear "$VENV"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$LOCK"
  cp "$LOCK" "$VENV/installed.txt"
fi
scripts/kafka.sh install >/dev/null
scripts/release-binaries.sh

cd examples/subscriber
CARGO_TARGET_DIR=$TARGET PYTHONDONTWRITEBYTECODE=1 exec "$VENV/bin/python" -m unittest discover -v -s tests -t . "$@"
