#!/bin/sh
# deb-check.sh DIST OUT: does the package work on a Debian with nothing on it, and leave as it came?
# A fresh Debian 12 is made in a folder below OUT (kept as an archive there, so that only the first time is slow), the
# newest .deb of DIST is installed in it, tried as an ordinary user without a Python on the system, and removed.
# OUT/window.png and OUT/session.png show what was drawn. Needs root, debootstrap, Xvfb and any Python 3.
# What is mounted is mounted in a namespace of its own, which ends with this script, however it ends.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
suite=bookworm
guest=reader # the ordinary user
limit=120 # seconds for the self-test

step() { printf '\n== %s\n' "$1"; }
refuse() {
    echo "deb-check: $1" >&2
    exit 1
}

if [ "${1:-}" != --inside ]; then
    [ $# = 2 ] || refuse "usage: deb-check.sh DIST OUT"
    [ "$(uname -s)" = Linux ] || refuse "this needs Linux"
    [ "$(id -u)" = 0 ] || refuse "making a system of its own needs root: sudo sh packaging/linux/deb-check.sh $1 $2"
    for tool in debootstrap unshare chroot Xvfb python3 dpkg-deb; do
        command -v $tool >/dev/null || refuse "$tool is missing here (Debian: apt-get install debootstrap xvfb python3)"
    done
    # shellcheck disable=SC2012  # names of our own
    package=$(ls -t "$1"/mechanoscope_*_"$(dpkg --print-architecture)".deb 2>/dev/null | head -n 1)
    [ -n "$package" ] || refuse "there is no package in $1: make deb"
    mkdir -p "$2/archives/partial"
    package=$(realpath "$package")
    out=$(realpath "$2")
    root=$(mktemp -d "$out/root.XXXXXX")
    chmod 755 "$root"
    trap 'rm -rf --one-file-system "$root"' EXIT
    trap 'exit 1' HUP INT TERM
    unshare --mount --pid --fork --kill-child sh "$0" --inside "$package" "$out" "$root"
    exit
fi
package=$2 out=$3 root=$4

# --- a Debian ----------------------------------------------------------------------------------------------------

step "a fresh Debian ($suite)"
base=$out/$suite-$(dpkg --print-architecture).tar
# shellcheck disable=SC2016  # these are apt's words
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 2>/dev/null | sed -n 's/^Debian //p' | head -n 1)}
[ -n "$mirror" ] || refuse "apt names no mirror of Debian here: DEBIAN_MIRROR=... make deb-check"
if [ ! -f "$base" ]; then
    debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$out/debootstrap.log" 2>&1 || {
        tail -n 5 "$out/debootstrap.log" >&2
        refuse "debootstrap failed; $out/debootstrap.log says how"
    }
    tar -C "$root" -cf "$base.part" .
    mv "$base.part" "$base"
else
    tar -C "$root" -xpf "$base"
fi
echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# How this machine reaches its mirror is how the guest does.
apt-config dump | grep -E '^Acquire::(https?(::[A-Za-z:.-]*)? |Check-Date |Check-Valid-Until )' |
    grep -v '""' >"$root/etc/apt/apt.conf.d/99machine" || true
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$out/archives" "$root/var/cache/apt/archives"

as() { # as USER WORD...: a command in there, with nothing of our surroundings
    user=$1
    shift
    home=/root
    [ "$user" = root ] || home=/home/$user
    chroot --userspec="$user" "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME="$home" USER="$user" LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive ${http_proxy:+http_proxy="$http_proxy"} \
        ${https_proxy:+https_proxy="$https_proxy"} ${display:+DISPLAY="$display"} sh -c 'cd && exec "$@"' sh "$@"
}
apt() { as root apt-get --quiet=2 --yes --no-install-recommends "$@" >>"$out/apt.log" 2>&1 || {
    tail -n 20 "$out/apt.log" >&2
    refuse "apt-get $* failed; $out/apt.log says how"
}; }
files() { (cd "$root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./tmp -o -path ./run -o -path ./home \
    -o -path ./root -o -path ./var/cache/apt \) -prune -o -print) | LC_ALL=C sort; }

: >"$out/apt.log"
apt update
as root useradd --create-home $guest
files >"$out/before.txt"

# --- the package -------------------------------------------------------------------------------------------------

step "install $(basename "$package")"
cp "$package" "$root/tmp/x.deb"
began=$(date +%s)
apt install /tmp/x.deb
echo "$(as root dpkg-query -W | wc -l) packages on the system, $(($(date +%s) - began)) s"
pythons=$(cd "$root" && find . -xdev -path '*bin/*' -name 'python*')
[ -z "$pythons" ] || refuse "there is a Python on the system: $pythons"
echo "no Python on the system"

step "commands, as an ordinary user"
model=/opt/mechanoscope/_internal/resources/models/world-4l
as $guest mechanoscope --version
as $guest mechanoscope inspect $model | head -n 3
as $guest mechanoscope run LogitLens --model $model --set 'prompt=the kite is in the' \
    --out /home/$guest/lens.npz --session /home/$guest/kite.mscope
as $guest mechanoscope session kite.mscope
as root mechanoscope techniques >"$out/techniques.txt" # as root, who could write to /opt
[ -s "$out/techniques.txt" ] || refuse "there are no techniques"

# --- its window --------------------------------------------------------------------------------------------------

step "the window under Xvfb"
mkdir -p "$root/tmp/.X11-unix" "$root/tmp/screen"
chmod 1777 "$root/tmp" "$root/tmp/.X11-unix"
mkdir -p /tmp/.X11-unix
mount --bind "$root/tmp/.X11-unix" /tmp/.X11-unix
display=:77
Xvfb $display -screen 0 1600x1000x24 -fbdir "$root/tmp/screen" -nolisten tcp -nolisten local -nolock -noreset -ac \
    >"$out/xvfb.log" 2>&1 &
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ ! -S "$root/tmp/.X11-unix/X77" ] || break
    sleep 1
done
[ -f "$root/tmp/screen/Xvfb_screen0" ] || refuse "Xvfb did not start; $out/xvfb.log says why"
show() { # show PICTURE WORD...: start it, look until it is drawn, end it
    picture=$1
    shift
    as $guest "$@" >"$out/window.log" 2>&1 &
    python3 "$here/look.py" "$root/tmp/screen/Xvfb_screen0" "$out/$picture" 60 || {
        cat "$out/window.log" >&2
        refuse "the window was not drawn; $out/$picture shows the screen"
    }
    class=$(as $guest xwininfo -root -tree 2>/dev/null | grep -o '("mechanoscope" "Mechanoscope")' | head -n 1) || true
    # Our own namespace has the guest's processes and no others.
    for one in $(cd "$root/proc" && grep -l -a -s -x mechanoscope [0-9]*/comm | cut -d/ -f1); do kill "$one"; done
    wait $! 2>/dev/null || true
}
show window.png mechanoscope

step "its self-test"
began=$(date +%s)
as $guest timeout "$limit" mechanoscope --self-test || refuse "the self-test failed, or took more than $limit s"
echo "$(($(date +%s) - began)) s"

# --- what the desktop knows of it --------------------------------------------------------------------------------

step "menu entry, kind of file, manual"
tools="desktop-file-utils shared-mime-info hicolor-icon-theme man-db libglib2.0-bin x11-utils"
# shellcheck disable=SC2086  # a list of packages
apt install $tools
as root desktop-file-validate --no-hints /usr/share/applications/mechanoscope.desktop
cp -p "$root/home/$guest/kite.mscope" "$root/home/$guest/kite"
type=application/x-mechanoscope-session
for name in kite.mscope kite; do # by its name, and by what is in it
    as $guest gio info -a standard::content-type,standard::icon $name | grep -q "content-type: $type" ||
        refuse "$name is not taken for a session: $(as $guest gio info $name)"
done
as $guest gio mime $type | grep -q mechanoscope.desktop || refuse "no program is known for $type"
said=$(as $guest env MANWIDTH=80 man --warnings -E UTF-8 -l /usr/share/man/man1/mechanoscope.1.gz 2>&1 >/dev/null)
[ -z "$said" ] || refuse "the manual page: $said"
echo "$type opens with mechanoscope.desktop; the manual page is well-formed"

step "a session, opened as a double click does"
show session.png gio launch /usr/share/applications/mechanoscope.desktop /home/$guest/kite.mscope
[ -n "$class" ] || refuse "no window is of the class that the menu entry names (StartupWMClass)"
echo "class $class"

# --- away again --------------------------------------------------------------------------------------------------

step "remove it"
apt purge mechanoscope
left=$(cd "$root" && find . -xdev -path ./home -prune -o -path ./tmp -prune -o -iname '*mechanoscope*' -print)
[ -z "$left" ] || refuse "this is left: $left"
left=$(cd "$root" && grep -rlai mechanoscope usr etc var --exclude-dir=log --exclude-dir=archives --exclude='*-old' \
    --exclude-dir=man) || true # a list of all manual pages, which Debian's daily job renews
[ -z "$left" ] || refuse "this still speaks of it: $left"
# shellcheck disable=SC2086  # a list of packages
apt purge --auto-remove -o APT::AutoRemove::RecommendsImportant=false -o APT::AutoRemove::SuggestsImportant=false $tools
files >"$out/after.txt"
# apt keeps its logs and a list of its own; dpkg takes an empty /opt away, as no package of Debian's has it.
left=$(comm -3 "$out/before.txt" "$out/after.txt" | sed 's/^\t/new /' |
    grep -v -x -e 'new ./var/lib/apt/extended_states' -e 'new ./var/log/apt.*' -e ./opt) || true
[ -z "$left" ] || refuse "the system is not as it was: $left"
echo "the system is as it was"
