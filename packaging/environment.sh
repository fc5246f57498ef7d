#!/bin/sh
# environment.sh FOLDER EXTRA: a virtual environment with Mechanoscope and one extra, at the exact versions of the
# constraints file. Run by the Makefile, which calls it again only when pyproject.toml or the constraints change.
# On Windows this is the sh that comes with Git.
set -eu
cd "$(dirname "$0")/.."
folder=$1
extra=$2

usable='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
recent='import sys; sys.exit(sys.version_info < (3, 11))'

# Where an environment keeps its programs.
programs=bin
[ "${OS:-}" != Windows_NT ] || programs=Scripts
python=$folder/$programs/python

# The newest Python that can make an environment. Names are tried by running them: a shim may exist and lead nowhere
# (python3 on a Windows without it opens a shop), and Debian ships python3 without venv. An interpreter named by
# PYTHON= is taken or refused, never replaced.
find_python() {
    without_venv=
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.14 python3.13 python3.12 python3.11 python3 python
    fi
    for name in "$@"; do
        if "$name" -c "$usable" >/dev/null 2>&1; then
            command -v "$name"
            return
        elif "$name" -c "$recent" >/dev/null 2>&1; then
            without_venv=$name
        fi
    done
    # Windows' own setup of Python puts nothing on the path but py, which knows where the newest is.
    if [ -z "${PYTHON:-}" ] && py -3 -c "$usable" >/dev/null 2>&1; then
        py -3 -c 'import sys; print(sys.executable.replace(chr(92), "/"), end="")'
        return
    fi
    if [ -n "$without_venv" ]; then
        echo "$without_venv cannot make virtual environments: its venv module is missing." >&2
        echo "On Debian and Ubuntu:  apt-get install python3-venv" >&2
    else
        wrong="${PYTHON:-python3} was not found"
        ! command -v "${PYTHON:-python3}" >/dev/null ||
            wrong="${PYTHON:-python3} is $("${PYTHON:-python3}" -V 2>&1)"
        echo "Mechanoscope needs Python 3.11 or newer; $wrong." >&2
        echo "Install one, or name one:  make install PYTHON=/path/to/python3.11" >&2
    fi
    return 1
}

version='import sys; print("%d.%d" % sys.version_info[:2])'
if [ -n "${PYTHON:-}" ] && [ -x "$python" ]; then
    chosen=$(find_python)
    if [ "$("$chosen" -c "$version")" != "$("$python" -c "$version" 2>/dev/null)" ]; then
        "$chosen" -m venv --clear "$folder"
    fi
elif ! "$python" -m pip --version >/dev/null 2>&1; then
    chosen=$(find_python)
    echo "Making $folder with $("$chosen" -V)"
    "$chosen" -m venv --clear "$folder"
fi

rm -f "$folder/.installed"
install() { "$python" -m pip install --quiet --disable-pip-version-check "$@"; }
if [ "$extra" = bench ]; then
    pins=packaging/constraints-bench.txt
    # torch first: the peers would otherwise let the resolver choose its build.
    install --constraint "$pins" torch
else
    pins=packaging/constraints.txt
fi
# The build backend is pinned like everything else, so no isolated build may fetch a newer one.
install --constraint "$pins" setuptools
install --constraint "$pins" --no-build-isolation --editable ".[$extra]"
touch "$folder/.installed"
