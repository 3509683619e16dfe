#!/usr/bin/env bash
# kafka-clients.sh - the embedded broker with other clients: kafkajs, kafka-python and Kafka's console tools.
#
# Each creates a topic, writes, reads in a group and asks for offsets by time. sandbox/tests/kafka tests librdkafka.
# Installs the locked packages (npm; PyPI, by python-env.sh); needs Node 20+, JDK 17+, and Maven for the first run (see kafka.sh).
# standalone.sh has the system that it starts.
set -euo pipefail
source "$(dirname "$(realpath "$0")")/standalone.sh"
source "$ROOT/scripts/python-env.sh"

export STANDALONE_KAFKA_PORT=9092
CLIENTS=$ROOT/scripts/kafka-clients BROKER=127.0.0.1:9092
if [[ ! $CLIENTS/node_modules/.package-lock.json -nt $CLIENTS/package-lock.json ]]; then
  npm ci --prefix "$CLIENTS" --no-audit --no-fund --loglevel=error
fi
python_env kafka-clients "$CLIENTS/requirements.txt"
"$ROOT/scripts/kafka.sh" install >/dev/null
start_standalone

# equal WHAT EXPECTED FOUND
equal() { [[ $3 == "$2" ]] || die "$1: expected '$2', found '$3'"; }
# holds WHAT PATTERN FOUND
holds() { grep -qE "$2" <<<"$3" || die "$1: no '$2' in '$3'"; }
console() { timeout 30 "$ROOT/scripts/kafka.sh" "$@"; }

echo '== kafkajs'
timeout 60 node "$CLIENTS/kafkajs.js" "$BROKER"

echo '== kafka-python'
timeout 60 "$VENV/bin/python" "$CLIENTS/kafka_python.py" "$BROKER"

echo "== Kafka's console tools"
topic=from_console
console topics --create --topic $topic --partitions 2 --config cleanup.policy=compact >/dev/null
holds 'topics --list' "^$topic\$" "$(console topics --list)"
holds 'topics --describe' 'PartitionCount: 2.*cleanup.policy=compact' "$(console topics --describe --topic $topic)"
printf 'key:value %s\n' 1 2 3 | console produce --topic $topic --reader-property parse.key=true --reader-property key.separator=:
equal 'what a group reads' $'value 1\nvalue 2\nvalue 3' \
  "$(console consume --topic $topic --group console --from-beginning --max-messages 3 --timeout-ms 15000 2>/dev/null)"
equal 'the end by offsets --time' 3 "$(console offsets --topic $topic --time -1 | awk -F: '{sum += $3} END {print sum}')"
equal 'the first of a time by offsets --time' 0 "$(console offsets --topic $topic --time 1000 | awk -F: '{sum += $3} END {print sum}')"
holds 'groups --list' '^console$' "$(console groups --list)"
holds 'groups --describe' "console +$topic +[01] +3 +3 +0 " "$(console groups --describe --group console 2>/dev/null)"
console configs --alter --entity-type topics --entity-name $topic --add-config retention.ms=60000 >/dev/null
holds 'configs --describe' 'retention.ms=60000' "$(console configs --describe --entity-type topics --entity-name $topic)"
console groups --delete --group console >/dev/null
console topics --delete --topic $topic
standalone_survived
echo "all three found what they wrote"
