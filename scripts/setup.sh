#!/bin/sh
# Make the virtual environment VENV with everything in it; called by the Makefile.
#
# torch comes first and by itself: left to the resolver, an open range may bring a CUDA build of several
# gigabytes to a machine that has no GPU.
set -eu

: "${VENV:=.venv}"
: "${PYTHON:=python3.11}"
: "${TORCH:=torch==2.13.0+cpu}"
: "${EXTRAS:=dev}"
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

# pysteps comes as source alone. Where there is no C compiler, the one in the package ziglang serves.
if ! command -v cc >/dev/null 2>&1 && ! command -v gcc >/dev/null 2>&1; then
    echo "setup: no C compiler here, taking ziglang's to build pysteps"
    $pip install --quiet ziglang
    zig=$("$VENV/bin/python" -c 'import os, ziglang; print(os.path.dirname(ziglang.__file__))')/zig
    compiler="$PWD/$VENV/bin/zig-cc"
    # Without OpenMP, which zig does not bring and pysteps does without.
    cat >"$compiler" <<EOF
#!/bin/sh
for flag in "\$@"; do
    shift
    [ "\$flag" = -fopenmp ] || set -- "\$@" "\$flag"
done
exec "$zig" cc "\$@"
EOF
    chmod +x "$compiler"
    CC="$compiler"
    LDSHARED="$compiler -shared"
    export CC LDSHARED
fi

echo "setup: installing the project and its checks"
$pip install --quiet --editable ".[$EXTRAS]"
echo "setup: done; $VENV/bin/nowcast --help"
