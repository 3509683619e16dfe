#!/usr/bin/env bash
# Restarts every broker and service of the running cluster, one after the other, while people sign up. It fails if a mail
# was lost or duplicated, or a request got an error. Needs Docker, Python 3 and
#   RATE_LIMIT=off WRONG_CODES=off docker compose -f docker-compose.yml -f docker-compose.cluster.yml up -d --wait
# usage: rolling-restart.sh [signups a second, 100] [part of the names of the containers to restart]
set -euo pipefail
cd "$(dirname "$0")/.."
rate=${1:-100} only=${2:-}

compose() { docker compose -f docker-compose.yml -f docker-compose.cluster.yml "$@"; }
healthy() { [[ $(docker inspect -f '{{.State.Health.Status}}' "$1") == healthy ]]; }
in_sync() {  # every partition has all its replicas again, without which the next broker must not go
  [[ $1 != *kafka* ]] ||
    [[ -z $(docker exec "$1" /opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:19092 --describe --under-replicated-partitions) ]]
}

mapfile -t containers < <(compose ps --format '{{.Name}}' kafka kafka-2 kafka-3 user-service notification-service | grep "$only" | sort)
((${#containers[@]})) || { echo 'the cluster does not run' >&2; exit 2; }

scripts/signup-load.py --rate "$rate" --seconds 3600 &
load=$!
trap 'kill $load 2>/dev/null || true' EXIT
sleep 10
for container in "${containers[@]}"; do
  began=$SECONDS
  docker restart "$container" >/dev/null
  until healthy "$container" && in_sync "$container"; do sleep 0.5; done
  echo "$container restarted, all well after $((SECONDS - began)) s"
  sleep 5   # as a rolling deploy leaves between two
done
kill -INT $load   # no more people; those who came are served to their end
wait $load
