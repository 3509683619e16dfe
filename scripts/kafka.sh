#!/usr/bin/env bash
# kafka.sh - a real single-node Apache Kafka broker (KRaft, no ZooKeeper, no Docker) from Maven Central.
#
#   kafka.sh install                                       fetch the jars once (idempotent)
#   kafka.sh start  [--port N] [--dir D] [--set k=v]... [--add-scram S]... [--cluster ID]
#                                                          format D when new, start, wait, print the bootstrap address
#   kafka.sh stop   [--port N] [--dir D]                   SIGTERM, wait for a clean shutdown
#   kafka.sh kill   [--port N] [--dir D]                   SIGKILL (a crash); the data stay
#   kafka.sh status [--port N] [--dir D]                   prints pid, address and RSS; exit 0 only when running
#   kafka.sh topics|groups|configs|produce|consume|offsets [--port N] <args>
#                                                          the Java tools (e.g. topics --list)
#   kafka.sh acls [--port N] <args>                        the same for ACLs, through the controller: no listener has to let it in
#
# D is data-N in the jar cache unless given; `cargo clean` removes both. To keep them, set KAFKA_HOME_DIR.
# --set adds or changes a setting of the broker. --add-scram creates a user when D is formatted, in the form of
# kafka-storage.sh: SCRAM-SHA-512=[name=ada,password=secret]. --cluster is the id that brokers of one cluster share:
# 16 bytes in base64url without padding, not beginning with a dash; a fresh one by default.
# Environment: KAFKA_HOME_DIR (jar cache, target/kafka-home), KAFKA_VERSION, KAFKA_JVM_OPTS, KAFKA_START_TIMEOUT (s),
# KAFKA_MORE_CLASSES (a folder of classes for the broker).
# Needs bash, JDK 17+, and Maven for `install` only. Every listener binds to 127.0.0.1; the controller uses port + 10000.
set -euo pipefail

KAFKA_VERSION=${KAFKA_VERSION:-4.3.1}
LOG4J_VERSION=${LOG4J_VERSION:-2.25.4}          # the log4j-core that this Kafka version itself depends on
ROOT=$(dirname "$(dirname "$(realpath "$0")")")
HOME_DIR=$(realpath -m "${KAFKA_HOME_DIR:-$ROOT/target/kafka-home}")
LIB=$HOME_DIR/lib-$KAFKA_VERSION
CLASSES="$LIB/*${KAFKA_MORE_CLASSES:+:$KAFKA_MORE_CLASSES}"
JVM_OPTS=${KAFKA_JVM_OPTS:--Xms128m -Xmx512m -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:+ExitOnOutOfMemoryError}

die() { echo "kafka.sh: $*" >&2; exit 1; }

java_tool() {  # java_tool <class> <args...>: a short-lived JVM, warnings only
  [[ -e $LIB/.complete ]] || install
  java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$HOME_DIR/log4j2.properties" \
    -Dkafka.level=WARN -cp "$CLASSES" "$@"
}

install() {
  mkdir -p "$HOME_DIR"
  exec 9>"$HOME_DIR/.lock"; flock 9            # two tests may install at the same time
  if [[ ! -e $LIB/.complete ]]; then
    cat >"$HOME_DIR/pom.xml" <<EOF
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-home</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$KAFKA_VERSION</version>
      <exclusions><exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion></exclusions>
    </dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$LOG4J_VERSION</version></dependency>
  </dependencies>
</project>
EOF
    rm -rf "$LIB.tmp"
    mvn -q -B -Dstyle.color=never -f "$HOME_DIR/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$LIB.tmp" >&2
    rm -rf "$LIB"; touch "$LIB.tmp/.complete"; mv "$LIB.tmp" "$LIB"
  fi
  cat >"$HOME_DIR/log4j2.properties" <<'EOF'
appender.err.type = Console
appender.err.name = err
appender.err.target = SYSTEM_ERR
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = ${sys:kafka.level:-INFO}
rootLogger.appenderRef.err.ref = err
EOF
  exec 9>&-
}

properties() {  # the whole broker configuration; --set lines come last and win
  cat <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$CTRL_PORT
listeners=PLAINTEXT://127.0.0.1:$PORT,CONTROLLER://127.0.0.1:$CTRL_PORT
advertised.listeners=PLAINTEXT://127.0.0.1:$PORT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$DIR/data
auto.create.topics.enable=false
num.partitions=3
# after a crash the controller refuses the restarted broker (DUPLICATE_BROKER_REGISTRATION) for one session: 9 s by default
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# one node: every internal topic has one replica, and few partitions so that start and recovery stay short
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# classic groups: no wait before the first rebalance
group.initial.rebalance.delay.ms=0
# KIP-848 groups (on by default since 4.0): here the BROKER sets the session timeout (its defaults: 45 s and 5 s)
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=1000
group.consumer.heartbeat.interval.ms=1000
EOF
  (( ${#SETS[@]} == 0 )) || printf '%s\n' "${SETS[@]}"
}

running() {  # true when the PID file names a live JVM that was started on this very directory
  PID=$(cat "$DIR/kafka.pid" 2>/dev/null) && [[ -n $PID ]] &&
    tr '\0' ' ' 2>/dev/null <"/proc/$PID/cmdline" | grep -qF " kafka.Kafka $DIR/server.properties"
}

open_port() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() {
  ! running || { echo "127.0.0.1:$PORT"; return; }
  [[ -e $LIB/.complete ]] || install
  ! open_port "$PORT" || die "port $PORT is in use"
  ! open_port "$CTRL_PORT" || die "controller port $CTRL_PORT is in use"
  mkdir -p "$DIR"; properties >"$DIR/server.properties"
  if [[ ! -e $DIR/data/meta.properties ]]; then
    [[ -n $CLUSTER ]] || CLUSTER=$(head -c16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
    java_tool kafka.tools.StorageTool format -t "${CLUSTER/#-/A}" -c "$DIR/server.properties" "${USERS[@]}" >"$DIR/format.log" 2>&1 ||
      { cat "$DIR/format.log" >&2; die "format failed"; }
  fi
  : >"$DIR/server.log"
  # shellcheck disable=SC2086  # JVM_OPTS is a list of words
  setsid java $JVM_OPTS -Dlog4j2.configurationFile="$HOME_DIR/log4j2.properties" -Dkafka.logs.dir="$DIR" \
    -cp "$CLASSES" kafka.Kafka "$DIR/server.properties" >>"$DIR/server.log" 2>&1 </dev/null &
  echo $! >"$DIR/kafka.pid"
  local deadline=$((SECONDS + ${KAFKA_START_TIMEOUT:-120}))
  # the port opens a little before the broker is unfenced, so the log line is the condition
  until grep -qF 'Kafka Server started' "$DIR/server.log" && open_port "$PORT"; do
    kill -0 "$(cat "$DIR/kafka.pid")" 2>/dev/null || { tail -20 "$DIR/server.log" >&2; die "the broker exited"; }
    ((SECONDS < deadline)) || { tail -20 "$DIR/server.log" >&2; die "not ready in time (see $DIR/server.log)"; }
    sleep 0.1
  done
  echo "127.0.0.1:$PORT"
}

gone() {  # true when process $1 has released its sockets: absent, or a zombie (nobody reaped it) without other threads
  local line; line=$(awk '/^(State|Threads):/ {printf "%s", $2}' "/proc/$1/status" 2>/dev/null) || true
  [[ -z $line || $line == Z1 ]]
}

end() {  # end <signal>: signals the broker of $DIR and waits until it has gone (SIGKILL after 30 s)
  running || { rm -f "$DIR/kafka.pid"; echo "not running" >&2; return; }
  kill "-$1" "$PID"
  for ((i = 0; i < 600; i++)); do gone "$PID" && { rm -f "$DIR/kafka.pid"; return; }; sleep 0.05; done
  kill -KILL "$PID"; rm -f "$DIR/kafka.pid"; die "killed after 30 s without a clean shutdown"
}

command=${1:-help}; shift || true
PORT=9092 DIR='' CLUSTER='' SETS=() USERS=()
while (($#)); do
  case $1 in
    --port) PORT=${2:?}; shift 2 ;;
    --dir) DIR=${2:?}; shift 2 ;;
    --set) SETS+=("${2:?}"); shift 2 ;;
    --cluster) CLUSTER=${2:?}; shift 2 ;;
    --add-scram) USERS+=(--add-scram "${2:?}"); shift 2 ;;
    *) break ;;                                # the rest belongs to the Java tool
  esac
done
CTRL_PORT=$((PORT + 10000)); DIR=$(realpath -m "${DIR:-$HOME_DIR/data-$PORT}")

case $command in
  install) install; echo "$LIB" ;;
  start) start ;;
  stop) end TERM ;;
  kill) end KILL ;;
  status) running || { echo "not running"; exit 1; }
    echo "pid $PID, 127.0.0.1:$PORT, $(awk '/VmRSS/ {print int($2 / 1024) " MiB RSS"}' "/proc/$PID/status"), dir $DIR" ;;
  acls) java_tool org.apache.kafka.tools.AclCommand --bootstrap-controller "127.0.0.1:$CTRL_PORT" "$@" ;;
  topics) java_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$PORT" "$@" ;;
  groups) java_tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "127.0.0.1:$PORT" "$@" ;;
  configs) java_tool kafka.admin.ConfigCommand --bootstrap-server "127.0.0.1:$PORT" "$@" ;;
  produce) java_tool org.apache.kafka.tools.ConsoleProducer --bootstrap-server "127.0.0.1:$PORT" "$@" ;;
  consume) java_tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "127.0.0.1:$PORT" "$@" ;;
  offsets) java_tool org.apache.kafka.tools.GetOffsetShell --bootstrap-server "127.0.0.1:$PORT" "$@" ;;
  *) sed -n '2,21s/^# \{0,1\}//p' "$0"; [[ $command == help ]] ;;
esac
