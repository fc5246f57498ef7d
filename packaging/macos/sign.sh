#!/bin/sh
# sign.sh PATH: sign Mechanoscope.app, or sign and notarise its disk image. SIGNING.md tells it step by step.
#
#   MECHANOSCOPE_SIGN_IDENTITY   "Developer ID Application: NAME (TEAM)", from a keychain. Without it the application
#                                is sealed ad hoc (it runs, but a downloaded copy is refused at first), an image is not.
#   MECHANOSCOPE_NOTARY_PROFILE  a profile of `xcrun notarytool store-credentials`. Without it nothing is notarised.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
identity=${MECHANOSCOPE_SIGN_IDENTITY:-}
profile=${MECHANOSCOPE_NOTARY_PROFILE:-}
target=${1:?"sign.sh PATH: say which .app or .dmg"}
[ -e "$target" ] || { echo "sign.sh: there is no $target" >&2; exit 1; }

hardened() {
    codesign --force --sign "$identity" --options runtime --timestamp "$@"
}

# Libraries first, then the frameworks that hold some of them, the application last: each seal covers what it holds.
sign_inside() {
    find "$1/Contents" -type f ! -path "*.framework/*" ! -path "$1/Contents/MacOS/mechanoscope" |
        LC_ALL=C sort -r | while IFS= read -r file; do
        case $(file -b "$file") in
            *Mach-O*) hardened "$file" ;;
        esac
    done
    find "$1/Contents" -type d -name "*.framework" | LC_ALL=C sort -r | while IFS= read -r framework; do
        hardened "$framework"
    done
}

case $target in
    *.app | *.app/)
        app=${target%/}
        if [ -z "$identity" ]; then
            echo "sign.sh: MECHANOSCOPE_SIGN_IDENTITY is not set: $app is sealed ad hoc, without a name and not for others."
            codesign --force --sign - "$app"
        else
            sign_inside "$app"
            hardened --entitlements "$here/entitlements.plist" "$app"
        fi
        codesign --verify --deep --strict --verbose=2 "$app"
        ;;
    *.dmg)
        if [ -z "$identity" ]; then
            echo "sign.sh: MECHANOSCOPE_SIGN_IDENTITY is not set: $target is neither signed nor notarised."
            exit 0
        fi
        codesign --force --sign "$identity" --timestamp "$target"
        codesign --verify --verbose=2 "$target"
        if [ -z "$profile" ]; then
            echo "sign.sh: MECHANOSCOPE_NOTARY_PROFILE is not set: $target is signed, but not notarised."
            exit 0
        fi
        xcrun notarytool submit "$target" --keychain-profile "$profile" --wait
        xcrun stapler staple "$target"
        spctl --assess --type open --context context:primary-signature --verbose "$target"
        ;;
    *)
        echo "sign.sh: $target is neither an .app nor a .dmg" >&2
        exit 1
        ;;
esac
