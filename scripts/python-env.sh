# python-env.sh - Python environments, for the scripts that source this file. Needs Python 3.11+ with venv.
#
#   python_env NAME REQUIREMENTS   sets VENV to an environment below target/python that has just these packages, from PyPI
#
# It is made anew when the file changes or an earlier try was not completed.
# shellcheck shell=bash

python_env() {
  VENV=${CARGO_TARGET_DIR:-$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")/target}/python/$1
  if ! cmp -s "$2" "$VENV/installed.txt"; then
    python3 -m venv --clear "$VENV"
    # With a hash in the file, pip demands one for each package.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: -r "$2"
    cp "$2" "$VENV/installed.txt"
  fi
}
