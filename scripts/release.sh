#!/usr/bin/env bash
# release.sh - makes all files of a release from the commit that is checked out. docs/releasing.md lists them and says how to check them.
#
#   release.sh VERSION [--key FILE] [--out FOLDER]
#
#   --key   a secret key of minisign, which signs checksums and provenance; minisign asks for its password, if it has one
#   --out   where the files go (target/release-VERSION), a folder that is not there yet
#
# Needs Debian 12 on amd64, Rust, build-essential, Python 3.11, network access to Debian's packages and crates.io; no Docker. For images of arm64 also
# Debian's g++-aarch64-linux-gnu. Without it, or without Rust's standard library for arm64, it says so and makes those of amd64.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
source scripts/release/debian.sh
source scripts/release/binaries.sh

SERVICES=(user-service notification-service)
CHART=deploy/two-step-signup
WORK=$PWD/target/release-work

die() { echo "release.sh: $*" >&2; exit 1; }
step() { printf '== %s\n' "$*"; }
usage() { sed -n '2,/^set/p' "$0" | sed '$d' >&2; exit 2; }

version='' key='' out=''
while (($#)); do
  case $1 in
    --key | --out) [[ -n ${2:-} ]] || usage; printf -v "${1#--}" %s "$(realpath -m "$2")"; shift 2 ;;
    -*) usage ;;
    *) [[ -z $version ]] || usage; version=$1; shift ;;
  esac
done
[[ -n $version ]] || usage
out=${out:-$PWD/target/release-$version}

# All that is wrong, at once.
problems=()
expect() { local problem=$1; shift; "$@" >/dev/null 2>&1 || problems+=("$problem"); }
expect "the version of this commit is not $version: scripts/version.sh $version, and commit" [ "$(scripts/version.sh 2>&1)" = "$version" ]
expect "CHANGELOG.md has no heading '## [$version] - YYYY-MM-DD'" grep -qE "^## \[${version//./\\.}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md
expect 'there are changes that are not committed, or files that git does not know: a release is made from a commit' test -z "$(git status --porcelain)"
expect "$out is there already: a release has a folder of its own" test ! -e "$out"
expect 'this machine is not Debian 12 on amd64, whose glibc the images have' grep -qE '^PRETTY_NAME="Debian GNU/Linux 12' /etc/os-release
for tool in cargo rustup cc x86_64-linux-gnu-g++ make python3 dpkg-deb; do expect "$tool is missing" command -v "$tool"; done
if [[ -n $key ]]; then
  expect "$key can't be read" test -r "$key"
  expect 'minisign is missing (Debian: minisign)' command -v minisign
fi
((!${#problems[@]})) || { printf 'release.sh: %s\n' "${problems[@]}" >&2; exit 1; }

started=$(date -u +%FT%TZ)
commit=$(git rev-parse HEAD)
export SOURCE_DATE_EPOCH; SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)
rust=$(rustc --version | cut -d ' ' -f 2)
mkdir -p "$(dirname "$out")"
# A release that fails leaves no files that look like one.
files=$WORK/files
rm -rf "$files"
mkdir -p "$files"

# pack FILE FOLDER NAME...: a .tar.gz of which nothing depends on the machine or the time.
pack() {
  local file=$1 folder=$2; shift 2
  tar --create --directory "$folder" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' --mtime="@$SOURCE_DATE_EPOCH" "$@" | gzip -9n >"$file"
}

archs=(amd64)
if missing=$(can_compile arm64); then archs+=(arm64); else step "no images and binaries of arm64: this machine lacks $missing"; fi
missing=$(can_compile amd64) || die "this machine lacks $missing"

for arch in "${archs[@]}"; do
  packages=$WORK/$arch/packages name=two-step-signup-$version-linux-$arch
  step "$arch: Debian's packages"
  debian_packages "$arch" "$packages"
  step "$arch: binaries"
  build "$arch" "$packages"
  scripts/supply-chain.sh sbom "${TARGET[$arch]}"
  rm -rf "$WORK/$arch"/{"$name",base,user-service,notification-service}
  base_layer "$packages" "$WORK/$arch/base"
  mkdir -p "$WORK/$arch/$name"
  cp LICENSE-APACHE LICENSE-MIT CHANGELOG.md .env.example "$WORK/$arch/$name/"
  for service in "${SERVICES[@]}"; do
    binary=target/release-build/${TARGET[$arch]}/release/$service
    wrong=$(runs_elsewhere "$binary" "$arch") || die "$wrong"
    python3 scripts/release/licences.py "$service" "${TARGET[$arch]}" >"$WORK/$arch/$name/THIRD-PARTY-$service.txt"
    install -D "$binary" "$WORK/$arch/$service/usr/local/bin/$service"
    install -D -m 644 -t "$WORK/$arch/$service/usr/share/doc/$service" LICENSE-APACHE LICENSE-MIT "$WORK/$arch/$name/THIRD-PARTY-$service.txt"
    install "$binary" "$WORK/$arch/$name/"
    python3 scripts/release/components.py "$rust" "$packages/packages.tsv" <"target/sbom/$service.cdx.json" >"$WORK/$arch/$service.cdx.json"
    cp "$WORK/$arch/$service.cdx.json" "$files/$service-$version-linux-$arch.cdx.json"
  done
  pack "$files/$name.tar.gz" "$WORK/$arch" "$name"
done
[[ $("$WORK/amd64/user-service/usr/local/bin/user-service" --version) == "user-service $version" ]] || die "the binary has another version than $version"

step 'images'
folders=() packages=()
for arch in "${archs[@]}"; do folders+=("$arch=$WORK/$arch") packages+=("$arch=$WORK/$arch/packages"); done
for service in "${SERVICES[@]}"; do
  digest=$(python3 scripts/release/image.py "$service" "$version" "$commit" "$created" "$SOURCE_DATE_EPOCH" "$files/$service-$version.oci.tar" "${folders[@]}")
  echo "$service $digest" | tee -a "$files/IMAGES"
done

step 'chart and Compose file'
# As `helm package` does, which writes the present time into the archive. .helmignore has names of folders only.
mapfile -t ignored < <(sed 's|^|--exclude=two-step-signup/|; s|/$||' "$CHART/.helmignore")
pack "$files/two-step-signup-$version.tgz" "${CHART%/*}" --exclude=.helmignore "${ignored[@]}" two-step-signup
python3 scripts/release/compose.py <docker-compose.yml >"$files/docker-compose.yml"

step 'checksums, provenance, signatures'
(cd "$files" && sha256sum -- *) >"$WORK/SHA256SUMS"
mv "$WORK/SHA256SUMS" "$files/"
python3 scripts/release/provenance.py "$version" "$commit" "$rust" "$started" "$files" "${packages[@]}" <"$files/IMAGES" >"$WORK/provenance.json"
mv "$WORK/provenance.json" "$files/"
if [[ -n $key ]]; then
  minisign -S -s "$key" -t "two-step-signup $version $commit" -m "$files/SHA256SUMS" "$files/provenance.json"
else
  echo 'no signatures: no --key was given'
fi
mv "$files" "$out"
step "$out"
ls -l "$out"
