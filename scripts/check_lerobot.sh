#!/usr/bin/env bash
# Shows that LeRobot itself reads a dataset as this suite does: scripts/check_lerobot.sh [DATASET...]
# Without a dataset it makes two small ones. LeRobot 0.3.3 reads v2.1, 0.4.4 reads v3.0, each in an environment of its own
# that is made once (about 4 GB together) in $LEROBOT_CHECK_CACHE, by default .cache/lerobot_check. It needs CPython 3.11, PyPI,
# and the libraries of FFmpeg 4 to 8 (apt-get install ffmpeg). To be rid of it, remove that folder.
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
set +u; source scripts/env.sh; set -u
cache=${LEROBOT_CHECK_CACHE:-$PWD/.cache/lerobot_check}
mkdir -p "$cache"

install() {  # install VERSION REQUIREMENT...
    local home=$cache/$1 version=$1; shift
    [ -f "$home/complete" ] && return
    echo "check_lerobot: making an environment with lerobot $version (minutes)"
    rm -rf "$home"
    python3.11 -m venv "$home"
    # LeRobot's own pins ask for older versions of torch's companions, so these come without dependencies
    "$home/bin/pip" install --quiet torch==2.13.0 numpy
    "$home/bin/pip" install --quiet --no-deps torchvision==0.28.0 torchcodec==0.13.0 "lerobot==$version"
    "$home/bin/pip" install --quiet torch==2.13.0 'huggingface-hub>=0.34.2,<1' jsonlines packaging einops pillow "$@"
    touch "$home/complete"
}

check() {  # check DATASET
    local dataset expected version; dataset=$(realpath -- "$1") expected=$work/expected.npz
    version=$(python scripts/check_lerobot.py expect "$dataset" "$expected")
    case "$version" in
        v2.1) lerobot=0.3.3; install "$lerobot" 'datasets<=3.6.0' 'av>=14.2' ;;
        v3.0) lerobot=0.4.4; install "$lerobot" 'datasets>=4,<5' 'av>=15' accelerate deepdiff ;;
        *) echo "check_lerobot: found $version in $dataset; allowed: v2.1, v3.0" >&2; return 1 ;;
    esac
    # nothing of this suite's environment, and nothing from the network, takes part in the reading
    env -u PYTHONPATH -u LD_LIBRARY_PATH HF_HUB_OFFLINE=1 HF_HOME="$work/hf" \
        "$cache/$lerobot/bin/python" scripts/check_lerobot.py compare "$dataset" "$expected"
    rm -f "$expected"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# -eq 0 ]; then
    python scripts/check_lerobot.py make "$work"
    set -- "$work/v2.1" "$work/v3.0"
fi
for dataset in "$@"; do check "$dataset"; done
