#!/bin/sh
# dmg.sh: the disk image of dist/Mechanoscope.app, in dist; signed and notarised where the environment holds what that
# needs (sign.sh). dmgbuild comes into an environment of its own, so that nothing else is changed.
set -eu
cd "$(dirname "$0")/../.."
environment=build/dmg-environment
"${PYTHON:-python3}" -m venv --clear "$environment"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check dmgbuild==1.6.7 ds-store==1.3.3 mac-alias==2.2.3

image=$("$environment/bin/python" packaging/macos/dmg.py)
ls -l "$image"
sh packaging/macos/sign.sh "$image"
