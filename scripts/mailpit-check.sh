#!/usr/bin/env bash
# mailpit-check.sh - how well mail programs show the built-in mails, as Mailpit's HTML check has it (caniemail.com's data).
#
#   mailpit-check.sh [FOLDER]     with this folder of texts; fails if a mail has less than $LEAST percent
#
# Needs Go 1.25+ for Mailpit, which is compiled below target/tools (some minutes). It listens on free ports of 127.0.0.1 and
# asks nobody else for anything. docs/results/mail-programs.md has the last result.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

MAILPIT=v1.33.1
LEAST=${LEAST:-83}
TOOL=$PWD/target/tools/mailpit-$MAILPIT/mailpit
texts=${1:+$(realpath "$1")}

command -v go >/dev/null || { echo 'mailpit-check.sh: install Go' >&2; exit 1; }
[[ -x $TOOL ]] || GOBIN=${TOOL%/*} go install -trimpath -ldflags '-s -w' "github.com/axllent/mailpit@$MAILPIT"

work=$(mktemp -d) server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cargo run --quiet --locked -p notification-service -- mails preview --out "$work/mails" ${texts:+--texts "$texts"}
read -r http smtp < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')
"$TOOL" --quiet --disable-version-check --block-remote-css-and-fonts --smtp-disable-rdns \
  --database "$work/mailpit.db" --listen "127.0.0.1:$http" --smtp "127.0.0.1:$smtp" >"$work/log" 2>&1 &
server=$!
until curl -sf "http://127.0.0.1:$http/readyz" >/dev/null; do
  kill -0 "$server" 2>/dev/null || { echo 'mailpit-check.sh: Mailpit has ended:' >&2; cat "$work/log" >&2; exit 1; }
  sleep 0.1
done
for mail in "$work"/mails/*.eml; do "$TOOL" sendmail -S "127.0.0.1:$smtp" -f no-reply@example.com <"$mail"; done

python3 - "http://127.0.0.1:$http/api/v1" "$LEAST" "$work/mails" <<'PYTHON'
import glob, json, sys, urllib.request

api, least, folder = sys.argv[1], float(sys.argv[2]), sys.argv[3]
ask = lambda path: json.load(urllib.request.urlopen(f"{api}/{path}"))
expected = len(glob.glob(f"{folder}/*.eml"))
mails = ask(f"messages?limit={expected + 1}")["messages"]
assert len(mails) == expected > 0, f"{len(mails)} of {expected} mails arrived"
checks = sorted(((ask(f"message/{mail['ID']}/html-check"), mail["Subject"]) for mail in mails), key=lambda one: one[0]["Total"]["Supported"])
shares = [check["Total"]["Supported"] for check, _ in checks]
worst, subject = checks[0]
print(f"{len(shares)} mails; supported by {shares[0]:.1f} to {shares[-1]:.1f} % of the tests, in the middle {shares[len(shares) // 2]:.1f} %")
total = worst["Total"]
print(f"the worst: {subject!r}, {total['Partial']:.1f} % in part, {total['Unsupported']:.1f} % not supported, {total['Tests']} tests")
for warning in sorted(worst["Warnings"], key=lambda one: -one["Score"]["Unsupported"] * one["Score"]["Found"])[:8]:
    score = warning["Score"]
    print(f"  {warning['Title']}: not supported by {score['Unsupported']:.0f} % of the programs, in part by {score['Partial']:.0f} %")
if shares[0] < least:
    sys.exit(f"expected at least {least} %")
PYTHON
