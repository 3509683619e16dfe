#!/usr/bin/env bash
# supply-chain.sh - the services' crates: licences, sources and versions, known vulnerabilities, and a list.
#
#   supply-chain.sh              licences, sources, duplicates and crates that must not be there; needs crates.io only
#   supply-chain.sh advisories   known vulnerabilities, unmaintained and yanked crates; needs github.com/RustSec/advisory-db
#   supply-chain.sh sbom [TARGET]  a CycloneDX list for each service, in target/sbom; SOURCE_DATE_EPOCH sets its date
#
# The rules are in deny.toml (the services, as they are in the images) and deny.development.toml (the whole workspace).
# Compiles cargo-deny and cargo-cyclonedx below target/tools if they are missing: a minute each on two cores.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

DENY=0.20.2 CYCLONEDX=0.5.9
# Advisories older than this are worth a warning.
MAX_DAYS=7
TOOLS=$PWD/target/tools
SERVICES=(user-service notification-service)

# tool NAME VERSION: the path of a cargo subcommand, built without optimisation, which one run does not repay.
tool() {
  local home=$TOOLS/$1-$2
  [[ -x $home/bin/$1 ]] || cargo install --quiet --locked --debug --root "$home" "$1@$2" >&2
  echo "$home/bin/$1"
}

# services CHECK...: checks each service alone, so that a dependency of another crate can't hide a fault.
services() {
  local service cargo_deny; cargo_deny=$(tool cargo-deny "$DENY")
  for service in "${SERVICES[@]}"; do
    echo "== $service: $*"
    # An exception that only the other service needs is no warning.
    "$cargo_deny" --locked --manifest-path "$service/Cargo.toml" --exclude-dev --config deny.toml \
      check -A license-not-encountered -A unmatched-skip "$@"
  done
}

workspace() {
  local cargo_deny; cargo_deny=$(tool cargo-deny "$DENY")
  echo "== the whole workspace: $*"
  "$cargo_deny" --locked --workspace --config deny.development.toml check "$@"
}

# The age of the advisory database: cargo-deny itself fails only after 90 days.
age_of_advisories() {
  local database newest days
  for database in "${CARGO_HOME:-$HOME/.cargo}"/advisory-db*/*/; do
    [[ -d $database/.git ]] || continue
    newest=$(git -C "$database" log -1 --format=%ct)
    days=$((($(date +%s) - newest) / 86400))
    echo "== advisories of $(date -u -d "@$newest" +%F), $days days old: $(basename "$database")"
    ((days <= MAX_DAYS)) || echo "warning: no advisory of the last $days days was looked for; look into GitHub's database, too" >&2
  done
}

sbom() {
  local service cyclonedx; cyclonedx=$(tool cargo-cyclonedx "$CYCLONEDX")
  # It writes beside the manifest of every package of the workspace.
  trap 'rm -f ./{,shared/}*/supply-chain-sbom.json' EXIT
  "$cyclonedx" cyclonedx --quiet --manifest-path "${SERVICES[0]}/Cargo.toml" --format json --spec-version 1.5 --all-features \
    --target "$1" --override-filename supply-chain-sbom
  mkdir -p target/sbom
  for service in "${SERVICES[@]}"; do
    # Without the path of this checkout, so that the same commit makes the same list everywhere.
    sed "s|file://$PWD/|file:///|g" "$service/supply-chain-sbom.json" >"target/sbom/$service.cdx.json"
    echo "target/sbom/$service.cdx.json: $(grep -c '"purl"' "target/sbom/$service.cdx.json") packages"
  done
}

case ${1:-check} in
  check)
    services licenses bans sources
    workspace licenses sources
    ;;
  advisories)
    services advisories
    workspace advisories
    age_of_advisories
    ;;
  sbom) sbom "${2:-x86_64-unknown-linux-gnu}" ;;
  *) sed -n '2,/^set/p' "$0" | sed '$d' >&2; exit 2 ;;
esac
