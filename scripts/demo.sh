#!/usr/bin/env bash
# Sets everything up, then runs the main job in simulation: scripts/demo.sh [--seconds N] [--out DIR] [--headless]
set -eo pipefail
VLA_DEMO_BEGAN_S=$(date +%s.%N)
export VLA_DEMO_BEGAN_S
scripts=$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
"$scripts/setup.sh"
source "$scripts/env.sh"
exec ros2 run vla_bringup demo "$@"
