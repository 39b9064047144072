#!/usr/bin/env bash
# Makes the environment of the suite once: Python packages, Debian packages for rendering, underlay, workspace.
# Run again it checks a stamp and does nothing. Options: --force does everything again, --only-packages builds nothing.
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

PYTHON="${PYTHON:-}"
DEBIAN_PACKAGES=(libegl1 libegl-mesa0 libgl1-mesa-dri libgles2)  # for rendering
[ -n "${ROS_DISTRO:-}" ] && DEBIAN_PACKAGES+=(python3-venv python3-numpy python3-opencv)  # of the Python that ROS 2 was built for
STAMPS=.venv/stamps
say() { echo "setup: $*"; }
die() { echo "setup: error: $*" >&2; exit 1; }

case "${1:-}" in
    --force) rm -rf "$STAMPS" ;;
    ""|--only-packages) ;;
    *) die "found $1; allowed: --force, --only-packages" ;;
esac

[[ "$PWD" != *[[:space:]]* ]] || die "found the path '$PWD'; allowed: one without spaces, which colcon's scripts cannot take; move the repository"
mkdir -p .venv
exec 9> .venv/setup.lock
flock -n 9 || { say "another set-up is running here; waiting for it"; flock 9; }

find_python() {  # the locked wheels exist for CPython 3.11 to 3.13; a full ROS 2 needs the system's own Python
    local candidates=(python3.11 python3.12 python3.13 python3)
    [ -n "${ROS_DISTRO:-}" ] && candidates=(/usr/bin/python3)
    for candidate in ${PYTHON:+"$PYTHON"} "${candidates[@]}"; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            echo "$candidate"; return
        fi
    done
    die "no usable Python: found none of ${candidates[*]} with venv; allowed: CPython 3.11 to 3.13; install python3.11 and python3.11-venv, or set PYTHON=/path/to/python"
}

stamp_is() { [ -f "$STAMPS/$1" ] && [ "$(cat "$STAMPS/$1")" = "$2" ]; }
stamp() { mkdir -p "$STAMPS"; echo "$2" > "$STAMPS/$1"; }

# What a build depends on: the packages' descriptions, and which files there are (their contents are linked, not copied).
tree_key() {
    { find "$@" -type f \( -name setup.py -o -name setup.cfg -o -name package.xml \) -print0 | sort -z | xargs -0 cat
      find "$@" \( -name __pycache__ -o -name '*.egg-info' -o -name .pytest_cache -o -name .hypothesis -o -name build -o -name install -o -name log \) -prune -o -type f -print | sort
    } | sha256sum | cut -d' ' -f1
}

install_python_packages() {
    local ros="${ROS_DISTRO:-pypi}" key; key="$(sha256sum < requirements.lock | cut -d' ' -f1)-$PWD-$ros"
    stamp_is python "$key" && return
    [ "$(uname -sm)" = "Linux x86_64" ] || [ -n "${ROS_DISTRO:-}" ] || die "found $(uname -sm); ROS 2 from PyPI exists for Linux x86_64 only; source a full ROS 2 first"
    if [ -f "$STAMPS/python" ] && [[ "$(cat "$STAMPS/python")" != *-"$PWD-$ros" ]]; then
        say "starting anew: this environment was made in another place, or for another ROS 2 than $ros"
        find .venv -mindepth 1 -not -name setup.lock -delete
        rm -rf build install underlay/build underlay/install
    fi
    local python; python=$(find_python)
    if ! .venv/bin/python -m pip --version > /dev/null 2>&1; then  # also after an interrupted set-up
        say "virtual environment .venv with $($python --version)"
        "$python" -m venv ${ROS_DISTRO:+--system-site-packages} .venv
    fi
    say "installing Python packages (about a minute; pip's log: .venv/pip.log)"
    [ -n "${ROS_DISTRO:-}" ] || pip_install "supplied by a full ROS 2"
    pip_install "needed everywhere"
    if grep -q "^cuda.*= '" .venv/lib/python3*/site-packages/torch/version.py; then
        say "installing the CUDA libraries that this build of torch needs (gigabytes)"
        pip_install "needed by the CUDA build of torch"
    fi
    stamp python "$key"
}

pip_install() {  # pip_install BLOCK: one block of the lock
    local lock=.venv/requirements.lock
    sed -n "/^# --- $1 ---/,/^# --- /p" requirements.lock | grep == > "$lock"
    .venv/bin/python -m pip install --disable-pip-version-check --no-deps --no-compile --upgrade -r "$lock" >> .venv/pip.log 2>&1 \
        || { tail -n 20 .venv/pip.log >&2; die "pip failed; see .venv/pip.log (is the network, or its proxy, reachable?)"; }
}

install_debian_packages() {
    stamp_is debian "${DEBIAN_PACKAGES[*]}" && return
    mkdir -p .venv
    local missing=()
    for package in "${DEBIAN_PACKAGES[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        local sudo=""; [ "$(id -u)" -eq 0 ] || sudo="sudo -n"
        say "installing Debian packages: ${missing[*]}"
        if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } > .venv/apt.log 2>&1; then
            say "could not install ${missing[*]}: without the libraries of EGL and GL the simulated cameras cannot render."
            say "ask an administrator for: apt-get install ${missing[*]}   (then run scripts/setup.sh again)"
            return
        fi
    fi
    stamp debian "${DEBIAN_PACKAGES[*]}"
}

build() {  # build NAME FOLDER...: colcon build where something changed
    local name=$1; shift
    local key; key=$(tree_key "$@")
    stamp_is "$name" "$key" && return
    say "building $name"
    mkdir -p log
    ( source scripts/env.sh
      [ "$name" = underlay ] && { cd underlay; set -- src; }
      colcon build --base-paths "$@" --event-handlers console_direct- ) > ".venv/build_$name.log" 2>&1 \
        || { tail -n 30 ".venv/build_$name.log" >&2; die "colcon build of $name failed; see .venv/build_$name.log"; }
    stamp "$name" "$key"
}

install_debian_packages
install_python_packages
[ "${1:-}" = "--only-packages" ] && exit
[ -n "${ROS_DISTRO:-}" ] || build underlay underlay/src
build workspace src test
