#!/usr/bin/env bash
# subscriber.sh - the example subscriber's tests: alone, then with real Kafka and the release binaries of both services.
#
#   subscriber.sh                                       all of them
#   subscriber.sh -k who_begins_late                    some (options of python3 -m unittest)
#
# Installs the locked packages (python-env.sh); needs JDK 17+, and Maven for the first run (see kafka.sh). It uses free ports. A failed run names the folder with its data and logs.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

TARGET=${CARGO_TARGET_DIR:-$PWD/target}
source scripts/python-env.sh
python_env subscriber examples/subscriber/tests/requirements.txt
scripts/kafka.sh install >/dev/null
scripts/release-binaries.sh

cd examples/subscriber
CARGO_TARGET_DIR=$TARGET PYTHONDONTWRITEBYTECODE=1 exec "$VENV/bin/python" -m unittest discover -v -s tests -t . "$@"
