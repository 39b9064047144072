#!/usr/bin/env bash
# Sets everything up, then builds and tests the workspace as any colcon workspace.
set -eo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
source scripts/env.sh
colcon build
source scripts/env.sh
colcon test
colcon test-result
