#!/usr/bin/env bash
# api-fuzz.sh - schemathesis against the running system: it generates requests from /openapi.json, and every answer must match it.
#
#   api-fuzz.sh [options of `schemathesis run`]     for instance --max-time 600, or --seed 1
#
# python-env.sh installs schemathesis; standalone.sh has the system that it starts. The exceptions are in api-fuzz.toml and
# api_fuzz_hooks.py.
set -euo pipefail
source "$(dirname "$(realpath "$0")")/standalone.sh"
source "$ROOT/scripts/python-env.sh"

python_env api-fuzz "$ROOT/scripts/api-fuzz-requirements.txt"
# All requests come from one address.
export RATE_LIMIT=off WRONG_CODES=off
start_standalone

cd "$STANDALONE_FOLDER"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/scripts SCHEMATHESIS_HOOKS=api_fuzz_hooks
"$VENV/bin/schemathesis" --config-file "$ROOT/scripts/api-fuzz.toml" run "$URL/openapi.json" \
  --checks all --max-time 90 --continue-on-failure --generation-database none --no-color "$@"
standalone_survived
