#!/usr/bin/env bash
# Installs LeRobot beside the environment, where it is not yet, and runs the tests of the policies that need it.
set -eo pipefail
CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/env.sh
lock=scripts/lerobot.lock target=.cache/lerobot
if ! cmp -s "$lock" "$target/lerobot.lock"; then
    rm -rf "$target"
    pip install --quiet --no-deps --target "$target" -r "$lock"
    cp "$lock" "$target"
fi
export PYTHONPATH="$PWD/$target${PYTHONPATH:+:$PYTHONPATH}"
python -m pytest -rs "$@" src/vla_policy/test/test_policy_lerobot*.py
