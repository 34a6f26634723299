#!/bin/sh
# Make the virtual environment VENV with everything in it; called by the Makefile.
#
# torch comes first and by itself: left to the resolver, an open range may bring a CUDA build of several
# gigabytes to a machine that has no GPU.
set -eu

: "${VENV:=.venv}"
: "${PYTHON:=python3.11}"
: "${TORCH:=torch==2.13.0+cpu}"
TORCH_CPU_INDEX="https://download.pytorch.org/whl/cpu"

command -v "$PYTHON" >/dev/null 2>&1 || PYTHON=python3
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: $PYTHON is $("$PYTHON" --version 2>&1), expected Python 3.11 or newer;" \
        "name one: make PYTHON=/path/to/python3.11" >&2
    exit 1
}

"$PYTHON" -m venv "$VENV" || {
    echo "setup: $PYTHON could not make a virtual environment; on Debian: apt-get install python3-venv" >&2
    exit 1
}
pip="$VENV/bin/python -m pip --disable-pip-version-check"

echo "setup: installing $TORCH"
if ! $pip install --quiet "$TORCH"; then
    case "$TORCH" in
        *+cpu)
            echo "setup: not in the configured index; trying the CPU index of PyTorch"
            $pip install --quiet --index-url "$TORCH_CPU_INDEX" "torch>=2.6" ||
                $pip install --quiet "torch>=2.6"
            ;;
        *) exit 1 ;;
    esac
fi

echo "setup: installing the project and its checks"
$pip install --quiet --editable ".[dev]"
echo "setup: done; $VENV/bin/nowcast --help"
