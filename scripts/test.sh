#!/usr/bin/env bash
# Sets everything up, then builds and tests the workspace as any colcon workspace.
set -eo pipefail
CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
source scripts/env.sh
colcon build
source scripts/env.sh
colcon test
failed=0
colcon test-result || failed=1
if [ -z "${ROS_DISTRO:-}" ]; then  # where a full ROS 2 is used, there is no underlay
    cd underlay
    colcon test --base-paths src
    colcon test-result || failed=1
fi
exit "$failed"
