#!/usr/bin/env bash
# release-binaries.sh - builds the two services as their images have them: with TLS and SASL to Kafka. Everything that runs
# the release binaries builds them by this script, so that they are built once. Needs OpenSSL's headers (Debian: libssl-dev).
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
exec cargo build --locked --release -p user-service -p notification-service \
  --features user-service/kafka-tls,notification-service/kafka-tls
