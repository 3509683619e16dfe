#!/usr/bin/env bash
# mail-servers.sh - signups through real mail servers: Postfix, Exim, OpenSMTPD, Haraka, and Dovecot's logins.
#
#   mail-servers.sh                            limits, then logins
#   mail-servers.sh limits [--signups 200] [exim]...
#                                              a thousand signups through each server with low limits: no loss, no duplicate
#   mail-servers.sh logins [CASE]...           each login and certificate, accepted and refused, with the words of the log
#   mail-servers.sh rotation [--rate 100]      secrets change under load; on a quiet machine, two minutes
#
# The servers come from Debian's and npm's packages. Debian's packages exclude one another, so they are unpacked into
# target/mail-servers and never installed. Missing system users are created.
# Needs root (the servers drop their rights themselves), Node 20+, Python 3.11+, OpenSSL, JDK 17+, and Maven for the first run (see
# kafka.sh). It uses free ports on 127.0.0.1. A failed run names the folder with its data and logs.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

TARGET=$(realpath -m "${CARGO_TARGET_DIR:-target}")
HOME_DIR=$TARGET/mail-servers
((EUID == 0)) || { echo 'mail-servers.sh: run it as root: the servers change their users themselves' >&2; exit 2; }
runs=(limits logins)
if (($#)); then
  case $1 in
    limits | logins | rotation) runs=("$1"); shift ;;
    *) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
fi

# unpack NAME PACKAGE...: unpacks Debian packages into one folder.
unpack() {
  local folder=$HOME_DIR/$1 debs
  shift
  [[ ! -e $folder/.complete ]] || return 0
  debs=$(mktemp -d)
  (cd "$debs" && apt-get -qq update && apt-get -qq -o APT::Sandbox::User=root download "$@")
  rm -rf "$folder"
  mkdir -p "$folder"
  for package in "$debs"/*.deb; do dpkg-deb --extract "$package" "$folder"; done
  rm -r "$debs"
  touch "$folder/.complete"
}
user() { id "$1" >/dev/null 2>&1 || useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin --user-group "$1"; }

unpack postfix postfix
unpack exim exim4-base exim4-daemon-light
unpack opensmtpd opensmtpd
unpack dovecot dovecot-core
# Their libraries, which don't exclude other packages.
libraries=(libidn12 libgnutls-dane0 libevent-2.1-7 libicu72 libnsl2 libsasl2-2 libsodium23 libunwind8 openssl)
if ! dpkg -s "${libraries[@]}" >/dev/null 2>&1; then
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${libraries[@]}" >/dev/null
fi
for name in postfix Debian-exim opensmtpd opensmtpq; do user "$name"; done
getent group postdrop >/dev/null || groupadd --system postdrop
if [[ ! -e $HOME_DIR/haraka/.complete ]]; then
  mkdir -p "$HOME_DIR/haraka"
  cp scripts/mail-servers/package.json scripts/mail-servers/package-lock.json "$HOME_DIR/haraka/"
  npm ci --prefix "$HOME_DIR/haraka" --silent --omit=optional --no-audit --no-fund --ignore-scripts
  touch "$HOME_DIR/haraka/.complete"
fi

scripts/kafka.sh install >/dev/null
scripts/release-binaries.sh
for run in "${runs[@]}"; do
  python3 -B "scripts/mail-servers/$run.py" --packages "$HOME_DIR" --binaries "$TARGET/release" "$@"
done
