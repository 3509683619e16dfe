#!/usr/bin/env bash
# Builds the images, starts docker-compose.yml in a project of its own, and tests the statements of docs/containers.md: a
# signup through the published ports, restarts, one service without the other, codes that survive `down`.
# Needs Docker with Compose 2.24, Python 3, curl, and the published ports free.   usage: containers.sh [--no-build]
set -euo pipefail
cd "$(dirname "$0")/.."
export COMPOSE_PROJECT_NAME=two-step-signup-check RATE_LIMIT=off WRONG_CODES=off
api=http://127.0.0.1:3006 inbox=http://127.0.0.1:8025

step() { printf '\n== %s\n' "$*"; }
up() { docker compose --progress quiet up -d --wait --no-build "$@"; }
sign_up() { scripts/signup-load.py --rate 5 --seconds 1 | tail -n 1; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)["data"][sys.argv[1]])' "$1"; }
register() { curl -sSf "$api/api/register" -d first_name=Ada -d last_name=Lovelace -d "email=$1" | field id; }
verify() { curl -sSf "$api/api/verify" -d "id=$1" -d "code=$2" | field id >/dev/null; }
code() {  # code ADDRESS: waits for the mail to this address
  local deadline=$((SECONDS + 60))
  until curl -sSf "$inbox/api/v2/messages?limit=50" | python3 -c '
import email, email.policy, json, re, sys
for item in json.load(sys.stdin)["items"]:
    mail = email.message_from_string(item["Raw"]["Data"], policy=email.policy.default)
    found = re.search(r"^\s*(\d{6})\s*$", mail.get_body(("plain",)).get_content(), re.MULTILINE)
    if "{Mailbox}@{Domain}".format(**item["To"][0]) == sys.argv[1] and found:
        sys.exit(print(found[1]))
sys.exit(1)' "$1"; do
    ((SECONDS < deadline)) || { echo "no code for $1 came" >&2; return 1; }
    sleep 0.5
  done
}

trap 'docker compose --progress quiet down --volumes' EXIT

if [[ ${1:-} != --no-build ]]; then
  step 'build'
  docker compose build --quiet
fi
docker images --filter 'reference=two-step-signup/*' --format '{{.Repository}}:{{.Tag}} {{.Size}}'

step 'the user service with what it needs, and nothing else'
up user-service
[[ $(docker compose ps --services | sort | tr '\n' ' ') == 'kafka user-service ' ]]
early=$(register early@example.com)

step 'everything; who registered before there was a notification service gets the code'
up
verify "$early" "$(code early@example.com)"
sign_up

step 'no root, no writable file system'
for service in user-service notification-service; do
  docker inspect -f '{{.Name}} {{.Config.User}} {{.HostConfig.ReadonlyRootfs}}' "$(docker compose ps -q $service)" | grep -E ' 65532:65532 true$'
done

for service in user-service notification-service kafka; do
  step "$service restarted"
  docker compose --progress quiet restart "$service"
  up
  sign_up
done

step 'registrations without the notification service; their mails come when it is back'
docker compose --progress quiet stop notification-service
alone=$(register alone@example.com)
docker compose --progress quiet stop user-service
up notification-service
mailed=$(code alone@example.com)
up user-service
verify "$alone" "$mailed"

step 'a mailed code outlives down and up'
pending=$(register pending@example.com)
mailed=$(code pending@example.com)
docker compose --progress quiet down
up
verify "$pending" "$mailed"
sign_up

step 'all of it holds'
