#!/usr/bin/env bash
# Builds the package with the wheels of ROS 2 Jazzy, and tests its messages and the node over DDS.
# Everything is kept in .venv-jazzy, beside the environment of Kilted. JAZZY_PYTHON names a Python 3.12.
set -eo pipefail # without -u: colcon's setup files read unset variables
cd "$(dirname "$0")/.."
tests=(test/node/test_node.py test/node/test_messages.py)

python=""
for candidate in "${JAZZY_PYTHON:-}" python3.12 "$(pyenv root 2> /dev/null)"/versions/3.12*/bin/python3.12; do
    if [ -z "$python" ] && "$candidate" --version > /dev/null 2>&1; then
        python="$candidate"
    fi
done
if [ -z "$python" ]; then
    echo "Jazzy is not tested: its wheels need Python 3.12, which is not here: JAZZY_PYTHON=/path/to/python3.12"
    exit 0
fi
if [ -n "${ROS_DISTRO:-}" ]; then
    echo "Jazzy is not tested: ROS 2 $ROS_DISTRO is sourced, and make test uses that"
    exit 0
fi

export PCAN_VENV=.venv-jazzy
"$python" tools/environment.py runtime jazzy
. "$PCAN_VENV/bin/activate"
export AMENT_PREFIX_PATH="$VIRTUAL_ENV" CMAKE_PREFIX_PATH="$VIRTUAL_ENV" ROS_DISTRO=jazzy
export PCAN_TEST_DOMAINS="215 16" # none of those of `make test`, which may run at the same time
(cd "$PCAN_VENV" && colcon build --symlink-install --base-paths .. --packages-select pcan_ros)
COLCON_CURRENT_PREFIX="$PWD/$PCAN_VENV/install" . "$PCAN_VENV/install/local_setup.sh"
python -m pytest -p no:cacheprovider "${tests[@]}"
