#!/usr/bin/env bash
# release-binaries.sh - builds the two services as in their images: with TLS and SASL to Kafka, and spans. All scripts that run the
# release binaries use this one, so that they are built once. Needs OpenSSL's headers (Debian: libssl-dev).
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
exec cargo build --locked --release -p user-service -p notification-service \
  --features user-service/kafka-tls,user-service/otel,notification-service/kafka-tls,notification-service/otel
