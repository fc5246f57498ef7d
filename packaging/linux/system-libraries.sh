#!/bin/sh
# system-libraries.sh offscreen|window: the shared libraries that Qt's wheels expect from a Linux system.
# offscreen is what the tests and the tour need, window adds X11. Missing ones are installed when we are root on a
# system with apt; otherwise they are named with the one command that installs them. Elsewhere there is nothing to do.
set -eu
[ "$(uname -s)" = Linux ] || exit 0

# Library, then the Debian 12 package that brings it. Later releases provide the same names.
offscreen='libglib-2.0.so.0 libglib2.0-0
libEGL.so.1 libegl1
libGL.so.1 libgl1
libdbus-1.so.3 libdbus-1-3
libfontconfig.so.1 libfontconfig1
libxkbcommon.so.0 libxkbcommon0'
window="$offscreen
libxkbcommon-x11.so.0 libxkbcommon-x11-0
libxcb-cursor.so.0 libxcb-cursor0
libxcb-icccm.so.4 libxcb-icccm4
libxcb-keysyms.so.1 libxcb-keysyms1
libxcb-shape.so.0 libxcb-shape0"

case "${1:-offscreen}" in
    offscreen) wanted=$offscreen ;;
    window) wanted=$window ;;
    *) echo "usage: system-libraries.sh offscreen|window" >&2; exit 2 ;;
esac

# Loading is the only honest test: the loader knows its own search path, a file list does not.
python=python3
[ ! -x .venv/bin/python ] || python=.venv/bin/python
missing=$(echo "$wanted" | "$python" -c '
import ctypes, sys
for line in sys.stdin:
    library, package = line.split()
    try:
        ctypes.CDLL(library)
    except OSError:
        print(library, package)
')
[ -n "$missing" ] || exit 0

libraries=$(echo "$missing" | cut -d" " -f1 | tr "\n" " ")
packages=$(echo "$missing" | cut -d" " -f2 | tr "\n" " ")
packages=${packages% }
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Qt needs system libraries that are missing here: $libraries" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "Qt needs system libraries that are missing here: $libraries" >&2
    echo "This installs them:" >&2
    echo "    sudo apt-get install --yes --no-install-recommends $packages" >&2
    exit 1
fi
echo "Installing what Qt needs from the system: $packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "apt-get update failed; trying with the lists at hand" >&2
# shellcheck disable=SC2086  # a list of packages
apt-get install --yes --quiet=2 --no-install-recommends $packages </dev/null >/dev/null
