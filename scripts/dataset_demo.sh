#!/usr/bin/env bash
# Sets everything up, then makes a dataset of the sample recording: scripts/dataset_demo.sh [OUTPUT] (dataset_out)
set -eo pipefail
scripts=$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
output=$(realpath -m -- "${1:-dataset_out}")
"$scripts/setup.sh"
source "$scripts/env.sh"
mkdir -p "$output"
usable() { "$@" || [ $? -eq 3 ]; }  # 3: done, with losses or warnings that were printed
usable ros2 run vla_recorder convert "$scripts/../bags/sample" --output "$output/dataset" --overwrite
usable ros2 run vla_recorder dataset validate "$output/dataset"
rm -rf "$output/preview"
usable ros2 run vla_recorder dataset preview "$output/dataset" "$output/preview" --quick
