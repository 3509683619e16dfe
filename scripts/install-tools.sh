#!/usr/bin/env bash
# Installs the missing tools of the test suites (Debian; needs root if a tool is missing).
set -euo pipefail

wanted=()
need() { command -v "$1" >/dev/null 2>&1 || wanted+=("$2"); }
need cc build-essential
need perl perl
need curl curl
need git git
# OpenSSL for the feature `kafka-tls`, which finds it through pkg-config.
need pkg-config pkg-config
[[ -e /usr/include/openssl/ssl.h ]] || wanted+=(libssl-dev)
need java openjdk-17-jre-headless
need mvn maven
need ss iproute2
need node nodejs
need npm npm
need python3 python3
python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || wanted+=(python3-venv)
if ((${#wanted[@]})); then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends "${wanted[@]}" >/dev/null
fi
# Only promtool of Debian's package prometheus, which would also start a server.
tools=$(dirname "$(dirname "$(realpath "$0")")")/target/tools
if ! command -v promtool >/dev/null 2>&1 && [[ ! -x $tools/promtool ]]; then
  package=$(mktemp -d)
  (cd "$package" && apt-get -qq update && apt-get -qq -o APT::Sandbox::User=root download prometheus && dpkg-deb --extract prometheus_*.deb .)
  mkdir -p "$tools"
  mv "$package/usr/bin/promtool" "$tools/"
  rm -r "$package"
fi
# The toolchain file pins the compiler. Its components may be missing if the toolchain was installed without them.
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
printf '%s\n' "$(rustc --version)" "$(cc --version | head -1)" "$(java -version 2>&1 | head -1)" "$(mvn --version | head -1)"
