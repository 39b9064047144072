# Source this file in every shell that uses the suite:  source scripts/env.sh
# It exports what the nodes, ros2 and colcon need, and nothing that the user has already chosen.

if [ -z "${BASH_VERSION:-}" ]; then
    echo "env.sh: found a shell that is not bash; start bash, and source it there" >&2
    return 1
fi
case $- in *u*) _vla_unset=-u ;; *) _vla_unset=+u ;; esac
set +u  # colcon's scripts use variables that are not set
_vla_root=$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
if [ ! -f "$_vla_root/.venv/bin/activate" ]; then
    echo "env.sh: no environment in $_vla_root/.venv: run scripts/setup.sh first" >&2
    set "$_vla_unset"
    unset _vla_root _vla_unset
    return 1
fi
if [ -n "${ROS_DISTRO:-}" ]; then
    [ -n "${AMENT_PREFIX_PATH:-}" ] || . "/opt/ros/$ROS_DISTRO/setup.bash"  # a container may name ROS 2 without sourcing it
    # pytest plugins of ROS 2 Jazzy that pytest 9 refuses; no test here needs them
    export PYTEST_ADDOPTS="${PYTEST_ADDOPTS:--p no:launch_testing -p no:launch_ros -p no:launch_pytest}"
fi
. "$_vla_root/.venv/bin/activate"

if [ -z "${ROS_DISTRO:-}" ]; then
    # ROS 2 from PyPI: the virtual environment is the prefix, its ros_*.libs folders hold the shared libraries.
    # Setting the path here saves each Python process the re-execution that the wheels do otherwise.
    _vla_libs=$(printf '%s:' "$VIRTUAL_ENV"/lib/python3*/site-packages/ros_*.libs)
    case ":${LD_LIBRARY_PATH:-}" in
        *":$_vla_libs"*) ;;
        *) export LD_LIBRARY_PATH="$_vla_libs$VIRTUAL_ENV/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ;;
    esac
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
    export AMENT_PREFIX_PATH="$VIRTUAL_ENV"
    unset _vla_libs
    [ -f "$_vla_root/underlay/install/local_setup.bash" ] && . "$_vla_root/underlay/install/local_setup.bash"
fi
[ -f "$_vla_root/install/local_setup.bash" ] && . "$_vla_root/install/local_setup.bash"

export COLCON_DEFAULTS_FILE="$_vla_root/scripts/colcon_defaults.yaml"
export RMW_IMPLEMENTATION="${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}"
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
_vla_profile=fastdds_shm_network.xml
[ "$ROS_AUTOMATIC_DISCOVERY_RANGE" = LOCALHOST ] && _vla_profile=fastdds_shm.xml
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$_vla_root/config/dds/$_vla_profile}"
export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$FASTRTPS_DEFAULT_PROFILES_FILE}"
export MUJOCO_GL="${MUJOCO_GL:-egl}"
set "$_vla_unset"
unset _vla_root _vla_profile _vla_unset
