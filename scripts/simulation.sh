#!/usr/bin/env bash
# simulation.sh - the simulator with its own and the services' code optimised: six times as many simulated hours as `cargo run -p simulation`,
# for a build that takes 50 s longer on 2 cores.
#
#   simulation.sh ARGUMENTS...     those of the simulator: `search --minutes 5`, `run --seed 7`, `--help`
#   simulation.sh --build          prints the path of the program
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

build=(--locked -p simulation)
for package in simulation contract user-service notification-service; do
  build+=(--config "profile.dev.package.$package.opt-level=2")
done
if [[ ${1-} == --build ]]; then
  cargo build --quiet "${build[@]}"
  echo "${CARGO_TARGET_DIR:-target}/debug/simulation"
else
  exec cargo run --quiet "${build[@]}" -- "$@"
fi
