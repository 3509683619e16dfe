#!/usr/bin/env bash
# version.sh - the version of the product. Cargo.toml has it; the lock file, the chart and the Compose file repeat it.
#
#   version.sh            prints it, and fails if a file has another one
#   version.sh 0.3.0      sets it everywhere
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

die() { echo "version.sh: $*" >&2; exit 1; }

if (($#)); then
  new=$1
  # Semantic versioning without build metadata: `+` is not allowed in an image's tag.
  [[ $# == 1 && $new =~ ^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-[0-9A-Za-z.-]+)?$ ]] || die "expected one version such as 0.3.0 or 0.3.0-rc.1, got: $*"
  sed -i "/^\[workspace.package\]/,/^\[/ s/^version = .*/version = \"$new\"/" Cargo.toml
  sed -i -E "s/^(version|appVersion): .*/\1: $new/" deploy/two-step-signup/Chart.yaml
  sed -i -E "s#(two-step-signup/[a-z-]+):[0-9A-Za-z.-]+#\1:$new#" docker-compose.yml
  cargo update --quiet --workspace --offline
fi

version=$(sed -n '/^\[workspace.package\]/,/^\[/ s/^version = "\(.*\)"/\1/p' Cargo.toml)
# others FILE PATTERN: fails if a version in standard input, found by a pattern with one group, differs from Cargo.toml's.
others() {
  local found; found=$(sed -n -E "s#$2#\1#p")
  [[ -n $found ]] || die "no version found in $1"
  found=$(grep -vxF "$version" <<<"$found" | sort -u) || return 0
  die "Cargo.toml has $version, $1 has ${found//$'\n'/, }: scripts/version.sh $version sets all"
}
others Chart.yaml '^version: (.*)' <deploy/two-step-signup/Chart.yaml
others Chart.yaml '^appVersion: (.*)' <deploy/two-step-signup/Chart.yaml
others docker-compose.yml '.*two-step-signup/[a-z-]+:([0-9A-Za-z.-]+).*' <docker-compose.yml
# Packages without a source are the workspace's.
others Cargo.lock '^version = "(.*)"' < <(awk -v RS= '!/\nsource = /' Cargo.lock)
echo "$version"
