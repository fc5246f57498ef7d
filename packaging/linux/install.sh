#!/bin/sh
# Mechanoscope for one user of a Linux system: installs it, or removes it again. No root is needed.
# Alone it takes the files beside it; in front of an archive (*.run) it takes the files out of that.
set -eu
umask 022
export LC_ALL=C

version='@VERSION@'
machine='@MACHINE@'
glibc='@GLIBC@'
payload='@PAYLOAD@' # the line at which the archive begins; 0: there is none
data=''
target=''
fresh=''

usage() {
    cat <<END
Mechanoscope $version for Linux on $machine

    sh $(basename "$0") [--target DIR]                installs it for you, with a menu entry
    sh $(basename "$0") --uninstall [--target DIR]    removes it again; your sessions and settings stay

Without --target it goes to ~/.local/opt/mechanoscope.
END
}

refuse() {
    echo "Mechanoscope: $1" >&2
    exit 1
}

# The system must be one on which the program can run; else nothing is touched.
suits() {
    [ "$(uname -s)" = Linux ] || refuse "this is for Linux, and here is $(uname -s)."
    [ "$(uname -m)" = "$machine" ] || refuse "this is for $machine processors, and here is $(uname -m)."
    here=$(getconf GNU_LIBC_VERSION 2>/dev/null) || here=''
    case $here in
        glibc*) here=${here#glibc } ;;
        *) refuse "this needs the C library glibc $glibc or newer, and here is another one." ;;
    esac
    oldest=$(printf '%s\n%s\n' "$glibc" "$here" | sort -V | head -n 1)
    [ "$oldest" = "$glibc" ] || refuse "this needs glibc $glibc or newer, and here is $here: a newer system has it."
}

# Makes a folder with all above it, and remembers those that were not there.
folder() {
    [ -d "$1" ] && return
    folder "$(dirname "$1")"
    mkdir "$1"
    echo "folder $1" >>"$record"
}

# The desktop looks again at what is there.
refresh() {
    if [ -d "$data/mime/packages" ] && command -v update-mime-database >/dev/null 2>&1; then
        update-mime-database "$data/mime" >/dev/null 2>&1 || true
    fi
    if [ -d "$data/applications" ] && command -v update-desktop-database >/dev/null 2>&1; then
        update-desktop-database -q "$data/applications" >/dev/null 2>&1 || true
    fi
}

# Removes what the record names, what others have made from it, and the folders made for it that are empty now.
remove() {
    record=$(mktemp)
    cp "$target/installed.txt" "$record"
    sed -n 's/^file //p' "$record" | while IFS= read -r path; do rm -f "$path"; done
    refresh
    rm -rf "$target/_internal" "$target/share"
    rm -f "$target/mechanoscope" "$target/install.sh" "$target/LICENSE" "$target/installed.txt"
    sed -n 's/^folder //p' "$record" | sort -r | while IFS= read -r path; do
        case $path in
            "$data/mime") [ -e "$path/packages" ] || rm -rf "$path" ;; # only what update-mime-database wrote
            "$data/applications") [ "$(ls -A "$path" 2>/dev/null)" != mimeinfo.cache ] || rm -f "$path/mimeinfo.cache" ;;
        esac
        rmdir "$path" 2>/dev/null || true
    done
    rm -f "$record"
}

uninstall() {
    [ -f "$target/installed.txt" ] || refuse "it is not installed in $target; --target DIR says where it is."
    remove
    [ ! -d "$target" ] || echo "Files that are not Mechanoscope's stay in $target."
    echo "Removed. Your sessions stay in $data/mechanoscope, your settings in ${XDG_CONFIG_HOME:-$HOME/.config}/Mechanoscope."
}

# After a failure nothing is left of it.
# shellcheck disable=SC2317  # the trap calls it
clean() {
    rm -rf "$fresh"
    [ ! -f "$record" ] || sed -n 's/^folder //p' "$record" | sort -r | while IFS= read -r path; do
        rmdir "$path" 2>/dev/null || true
    done
    rm -f "$record" "$record.list"
}

# The new files, whole and tried, before anything old is touched.
unpack() {
    fresh="$target.new.$$"
    mkdir "$fresh"
    if [ "$payload" = 0 ]; then
        from=$(cd "$(dirname "$0")" && pwd)
        [ -x "$from/mechanoscope" ] || refuse "the program does not lie beside $0; unpack the archive whole."
        for part in mechanoscope _internal share install.sh LICENSE; do cp -R "$from/$part" "$fresh/"; done
    else
        command -v xz >/dev/null 2>&1 || refuse "unpacking needs the program xz (Debian and Fedora: package xz-utils or xz)."
        tail -n "+$payload" "$0" | xz -dc | (cd "$fresh" && tar -xf - --no-same-owner) || refuse "the file is damaged; get it anew."
        mv "$fresh/mechanoscope-$version"/* "$fresh/"
        rmdir "$fresh/mechanoscope-$version"
    fi
    said=$("$fresh/mechanoscope" --version 2>&1) || refuse "it does not start here: $said"
}

install() {
    case $target in
        *[\"\`\$\\%\&\|]* | *'
'*) refuse "$target: a menu entry cannot name a folder with \" \` \$ \\ % & | in it; choose another with --target." ;;
    esac
    if [ -e "$target" ] && [ ! -f "$target/installed.txt" ]; then
        rmdir "$target" 2>/dev/null || refuse "$target holds something else; choose an empty folder with --target."
    fi
    record=$(mktemp)
    trap clean EXIT
    trap 'exit 1' HUP INT TERM
    folder "$(dirname "$target")"
    unpack
    if [ -f "$target/installed.txt" ]; then
        made=$record
        grep '^folder ' "$target/installed.txt" >>"$made" || true # they are ours to remove one day
        remove
        record=$made
        folder "$(dirname "$target")"
    fi
    folder "$target"
    mv "$fresh"/* "$target/"
    (cd "$target/share" && find . -type f | sed 's|^\./||') >"$record.list"
    while IFS= read -r name; do
        folder "$(dirname "$data/$name")"
        case $name in
            applications/*) sed "s|^Exec=mechanoscope|Exec=\"$target/mechanoscope\"|" "$target/share/$name" >"$data/$name" ;;
            *) cp "$target/share/$name" "$data/$name" ;;
        esac
        echo "file $data/$name" >>"$record"
    done <"$record.list"
    folder "$HOME/.local/bin"
    if [ -L "$HOME/.local/bin/mechanoscope" ] || [ ! -e "$HOME/.local/bin/mechanoscope" ]; then
        ln -sf "$target/mechanoscope" "$HOME/.local/bin/mechanoscope"
        echo "file $HOME/.local/bin/mechanoscope" >>"$record"
    fi
    sort -u "$record" >"$target/installed.txt"
    rm -f "$record" "$record.list"
    refresh
    echo "$said is installed in $target, and in the menu of your desktop."
    case ":$PATH:" in
        *":$HOME/.local/bin:"*) echo "In a terminal: mechanoscope" ;;
        *) echo "In a terminal: $HOME/.local/bin/mechanoscope" ;;
    esac
    echo "To remove it: sh '$target/install.sh' --uninstall"
    lacking=$(find "$target/_internal" -name 'libqxcb.so' -exec ldd {} \; 2>/dev/null | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p' | sort -u | tr '\n' ' ')
    [ -z "$lacking" ] || echo "Before its window opens, your system must bring these libraries: $lacking"
}

main() {
    doing=install
    while [ $# -gt 0 ]; do
        case $1 in
            --target) [ $# -gt 1 ] || refuse "--target wants a folder."; shift; target=$1 ;;
            --target=*) target=${1#--target=} ;;
            --uninstall) doing=uninstall ;;
            -h | --help) usage; exit 0 ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done
    [ -n "${HOME:-}" ] || refuse "HOME is not set, so there is no place to install to."
    data=${XDG_DATA_HOME:-$HOME/.local/share}
    if [ -z "$target" ]; then
        target=$HOME/.local/opt/mechanoscope
        mine=$(cd "$(dirname "$0")" && pwd)
        [ ! -f "$mine/installed.txt" ] || target=$mine
    fi
    case $target in
        /*) ;;
        *) target=$PWD/$target ;;
    esac
    target=${target%/}
    if [ $doing = uninstall ]; then
        uninstall
    else
        [ "$payload" != 0 ] || [ ! -f "$(dirname "$0")/installed.txt" ] || refuse "it is installed here already; --uninstall removes it."
        suits
        install
    fi
}

main "$@"
exit
