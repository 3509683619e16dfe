#!/usr/bin/env bash
# simulation-selftest.sh - shows that the simulator can fail: breaks a service on purpose, by one patch of
# simulation/broken at a time, in a work tree of its own, and expects that a search from seed 1 finds a broken promise in two minutes,
# and none unbroken.
#
#   simulation-selftest.sh [--keep DIR] [PATCH...]     all patches by default; DIR keeps the builds for the next time
#
# Breaks what is committed, not what is in the work tree. Takes some 25 minutes from nothing.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

keep='' patches=()
while (($#)); do
  case $1 in
    --keep) keep=$(realpath -m "${2:?}"); shift 2 ;;
    -*) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
    *) patches+=("$(basename "$1" .patch)"); shift ;;
  esac
done
((${#patches[@]})) || for patch in simulation/broken/*.patch; do patches+=("$(basename "$patch" .patch)"); done

dir=$(mktemp -d "${TMPDIR:-/tmp}/simulation-selftest-XXXXXX")
builds=${keep:-$dir/builds}
cleanup() { git worktree remove --force "$dir/tree"; rm -rf "$dir"; }
git worktree add --quiet --detach "$dir/tree" HEAD
trap cleanup EXIT

search() {  # search <name> <exit code>: a search of two minutes ends so
  local name=$1 expected=$2 began=$SECONDS ended=0 program
  program=$(CARGO_TARGET_DIR=$builds "$dir/tree/scripts/simulation.sh" --build)
  local built=$SECONDS
  "$program" search --minutes 2 >"$dir/$name.txt" || ended=$?
  if ((ended != expected)); then
    tail -n 20 "$dir/$name.txt" >&2
    echo "$name: expected exit code $expected, not $ended" >&2
    exit 1
  fi
  echo "== $name: as expected (built in $((built - began)) s, $((SECONDS - built)) s with shrinking)"
  grep -aE '^([0-9]+ seeds from|seed .*BROKEN)' "$dir/$name.txt" | tail -n 2 | cut -c 1-200
}

search unbroken 0
for patch in "${patches[@]}"; do
  git -C "$dir/tree" checkout --quiet .
  git -C "$dir/tree" apply "$PWD/simulation/broken/$patch.patch"
  search "$patch" 1
done
