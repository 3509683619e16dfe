# standalone.sh - the whole system in one process, for the scripts that source this file.
#
#   start_standalone      builds `standalone`, starts it in an empty folder (or in STANDALONE_FOLDER) and waits until it is ready;
#                         it stops with the script, and its folder goes with it
#   standalone_survived   fails if it has ended meanwhile
#
# Sets ROOT (the repository) and URL (the user service). Passes the services' variables on. Ports 1025, 8025, 9092 and the
# services' own ports must be free.
# shellcheck shell=bash

ROOT=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
export USER_SERVICE_ADDR=${USER_SERVICE_ADDR:-127.0.0.1:3006}
export USER_SERVICE_ADMIN_ADDR=${USER_SERVICE_ADMIN_ADDR:-127.0.0.1:3008}
export NOTIFICATION_SERVICE_ADDR=${NOTIFICATION_SERVICE_ADDR:-127.0.0.1:3007}
URL=http://$USER_SERVICE_ADDR

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

start_standalone() {
  local port tries
  # Reuses the build of the workspace's tests. `-p` would build much of it again, with fewer features.
  cargo build --locked --manifest-path "$ROOT/Cargo.toml" --workspace --bin standalone
  for port in 1025 8025 9092 "${USER_SERVICE_ADDR##*:}" "${USER_SERVICE_ADMIN_ADDR##*:}" "${NOTIFICATION_SERVICE_ADDR##*:}"; do
    if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then die "port $port is in use"; fi
  done
  STANDALONE_FOLDER=${STANDALONE_FOLDER:-$(mktemp -d)}
  (cd "$STANDALONE_FOLDER" && exec "${CARGO_TARGET_DIR:-$ROOT/target}/debug/standalone") >"$STANDALONE_FOLDER/log" 2>&1 &
  STANDALONE=$!
  trap stop_standalone EXIT
  for ((tries = 0; ; tries++)); do
    curl -fsS -o /dev/null "$URL/health/ready" 2>/dev/null && break
    kill -0 "$STANDALONE" 2>/dev/null || { cat "$STANDALONE_FOLDER/log" >&2; die "the system ended at its start"; }
    ((tries < 300)) || die "the system is not ready after 60 seconds"
    sleep 0.2
  done
}

standalone_survived() { kill -0 "$STANDALONE" 2>/dev/null || die "the system did not survive"; }

stop_standalone() {
  local status=$?
  kill "$STANDALONE" 2>/dev/null && wait "$STANDALONE" 2>/dev/null || true
  if ((status)); then
    { echo "--- warnings of the services (mails left out)"; grep -E '(WARN|ERROR)' "$STANDALONE_FOLDER/log" | tail -n 20 || true; } >&2
  fi
  rm -rf "$STANDALONE_FOLDER"
  exit "$status"
}
