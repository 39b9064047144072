#!/usr/bin/env bash
# Records bags/sample: one episode of the scripted expert in the ALOHA simulation, with small compressed pictures.
set -eo pipefail
scripts=$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
source "$scripts/env.sh"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$scripts/.."

sed -e 's#/image_raw, type: sensor_msgs/msg/Image, encoding: rgb8, width: 640, height: 480#/image_raw/compressed, type: sensor_msgs/msg/CompressedImage, encoding: jpeg, width: 320, height: 240#' \
    config/robots/aloha.yaml > "$work/aloha_compressed.yaml"
grep -q 'encoding: jpeg' "$work/aloha_compressed.yaml"
ros2 launch vla_bringup teleop.launch.py contract:="$work/aloha_compressed.yaml" task:=transfer_cube episodes:=1 seed:="${1:-1}" \
    record:=true output_dir:="$work/bags" operator:=scripted_expert
bag=("$work"/bags/*)
grep -q 'success: .true' "${bag[0]}/metadata.yaml" || { echo "make_sample_bag: error: the episode failed; try again, or another seed" >&2; exit 1; }
rm -rf bags/sample && cp -r "${bag[0]}" bags/sample
( cd bags/sample && sha256sum -- *.mcap metadata.yaml > SHA256SUMS )
du -sh bags/sample
