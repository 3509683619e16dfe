#!/usr/bin/env bash
# chaos-selftest.sh - shows that the ledger can fail: breaks each service on purpose (chaos/broken/*.patch), in a work tree
# of its own, and expects that the counts which that must break are broken, and that the same seed passes unbroken.
#
#   chaos-selftest.sh [--seed S] [--keep DIR]     seed 1 by default; DIR keeps the builds for the next time
#
# Breaks what is committed, not what is in the work tree. Builds both services twice; takes a quarter of an hour.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

seed=1 keep=''
while (($#)); do
  case $1 in
    --seed) seed=${2:?}; shift 2 ;;
    --keep) keep=${2:?}; shift 2 ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/chaos-selftest-XXXXXX")
builds=${keep:-$dir/builds}
cleanup() { git worktree remove --force "$dir/tree"; rm -rf "$dir"; }
git worktree add --quiet --detach "$dir/tree" HEAD
trap cleanup EXIT

build() {  # build <folder>: both services of the work tree, and the chaos that finds them beside itself
  (cd "$dir/tree" && CARGO_TARGET_DIR=$builds cargo build --locked --release -p user-service -p notification-service)
  mkdir -p "$dir/$1/release" "$dir/$1/debug"
  cp "$builds/release/user-service" "$builds/release/notification-service" "$dir/$1/release/"
  cp "$chaos" "$dir/$1/debug/"
}

expect() {  # expect <folder> <exit code> [<count>...]: a run ends so, with these counts broken
  local folder=$1 expected=$2 ended=0; shift 2
  "$dir/$folder/debug/chaos" --minutes 2 --seed "$seed" | tee "$dir/$folder.txt" || ended=${PIPESTATUS[0]}
  ((ended == expected)) || { echo "$folder: expected exit code $expected, not $ended" >&2; exit 1; }
  for count; do
    grep -qE "^  BROKEN .*  $count\$" "$dir/$folder.txt" || { echo "$folder: not found: $count" >&2; exit 1; }
  done
  echo "== $folder: as expected"
}

scripts/kafka.sh install
cargo build --locked --workspace --bin chaos
chaos=$(realpath "${CARGO_TARGET_DIR:-target}/debug/chaos")

build good
for patch in "$PWD"/chaos/broken/*.patch; do git -C "$dir/tree" apply "$patch"; done
build broken
# One broken service at a time.
cp -r "$dir/good" "$dir/broken-notification-service"
cp "$dir/broken/release/notification-service" "$dir/broken-notification-service/release/"
cp -r "$dir/good" "$dir/broken-user-service"
cp "$dir/broken/release/user-service" "$dir/broken-user-service/release/"

expect good 0
expect broken-notification-service 1 'accepted signups without a mail' 'events without a mail, a dead letter or an expiry'
expect broken-user-service 1 'requests answered 202 without a record in the log'
