#!/usr/bin/env bash
# chaos-selftest.sh - shows that the ledger can fail. It breaks the services on purpose, with one patch of chaos/broken at a time, in a
# work tree of its own. It expects the counts of that patch to be broken, and the same seed to pass without the patch.
#
#   chaos-selftest.sh [--seed S] [--keep DIR]     seed 1 by default; DIR keeps the builds for the next time
#
# It breaks the last commit, not the work tree. It builds the services four times and takes half an hour.
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

build() {  # build <folder> [<patch>]: both services of the work tree, and the chaos that finds them beside itself
  git -C "$dir/tree" checkout --quiet .
  (($# == 1)) || git -C "$dir/tree" apply "$2"
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

broken() {  # broken <patch> <count>...: with this patch of chaos/broken these counts are broken
  build "$1" "$PWD/chaos/broken/$1.patch"
  expect "$1" 1 "${@:2}"
}

build good
expect good 0
broken notification-service 'accepted signups without a mail' 'events without a mail, a dead letter or an expiry'
broken user-service 'requests answered 202 without their record in the log'
broken user-service-rules 'right codes accepted beyond the budget of their window' \
  'verified accounts with other data than their registration'
