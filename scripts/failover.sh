#!/usr/bin/env bash
# failover.sh - the first of two mail servers fails in twelve ways, each for twenty seconds under a hundred sign-ups a second, and
# then both at once. Prints for each how many mails were lost and doubled, and the times until the second server took over and the
# first had the mail back. Takes about fifteen minutes. `acceptance.sh` runs the first way for five seconds.
set -euo pipefail
FAILOVER=all exec "$(dirname "$(realpath "$0")")/acceptance.sh" mail_servers:: -- --nocapture
