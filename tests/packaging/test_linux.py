"""The Linux packages: what they say of themselves, what they refuse, that bytes repeat."""

import gzip
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as Tree
from configparser import ConfigParser
from pathlib import Path

import pytest

import engine
from engine.arguments import parser

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="packages for Linux"),
    pytest.mark.skipif(shutil.which("readelf") is None, reason="no binutils on this machine"),
]
TRUE = Path(shutil.which("true") or "/bin/true")


@pytest.fixture(autouse=True)
def one_time(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")


@pytest.fixture
def bundle(tmp_path):
    """A program that needs the C library alone, a library beside it, and a link."""
    folder = tmp_path / "mechanoscope"
    (folder / "_internal/engine").mkdir(parents=True)
    shutil.copyfile(TRUE, folder / "mechanoscope")
    (folder / "mechanoscope").chmod(0o700)
    (folder / "_internal/engine/x.pyc").write_bytes(b"1234")
    (folder / "_internal/licences").mkdir()
    index = '[{"name": "Thing", "version": "1.2", "licence": "BSD-3-Clause", "files": []}]'
    (folder / "_internal/licences/index.json").write_text(index, encoding="utf-8")
    (folder / "_internal/libx.so").symlink_to("libx.so.1")
    shutil.copyfile(TRUE, folder / "_internal/libx.so.1")
    return folder


@pytest.fixture
def desk(script, monkeypatch):
    """The menu entry and the rest, with no icons: drawing them takes a second."""
    loaded = script("linux/desk")
    monkeypatch.setattr(loaded, "icons", lambda folder: None)
    return loaded


@pytest.fixture
def deb(script, desk, monkeypatch):
    loaded = script("deb")
    monkeypatch.setattr(loaded, "desk", desk)
    return loaded


@pytest.fixture
def archive(script, desk, monkeypatch):
    loaded = script("archive")
    monkeypatch.setattr(loaded, "desk", desk)
    return loaded


@pytest.fixture
def needs_dpkg():
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg on this machine")


def asks_for(file, name):
    """Make a program ask the loader for another library than the C library."""
    raw = file.read_bytes()
    assert b"\0libc.so.6\0" in raw
    file.write_bytes(raw.replace(b"\0libc.so.6\0", b"\0" + name + b"\0"))


# --- libraries ------------------------------------------------------------------------------------


def test_the_c_library_is_as_new_as_the_symbols_ask(script, bundle):
    libraries = script("linux/libraries")
    found = libraries.needs(bundle)
    assert set(libraries.packages(bundle, found)) == {"libc6"}
    assert re.fullmatch(r"2\.\d+", libraries.glibc(found))


def test_versions_are_numbers_and_not_words(script):
    libraries = script("linux/libraries")
    found = {Path("x"): frozenset({"GLIBC_2.4", "GLIBC_2.17", "GLIBCXX_3.4.29", "GLIBCXX_3.4.9"})}
    assert (libraries.glibc(found), libraries.gcc(found)) == ("2.17", "11")
    named = {Path("x"): frozenset({"GLIBC_2.4", "GLIBC_ABI_DT_RELR"})}
    assert libraries.glibc(named) == "2.36"
    with pytest.raises(libraries.Refused, match=r"x needs GLIBC_PRIVATE"):
        libraries.glibc({Path("x"): frozenset({"GLIBC_PRIVATE"})})


def test_a_library_that_nothing_brings_is_refused_by_name(script, bundle):
    libraries = script("linux/libraries")
    asks_for(bundle / "_internal/libx.so.1", b"libq.so.6")
    with pytest.raises(libraries.Refused, match=r"_internal/libx\.so\.1 needs libq\.so\.6"):
        libraries.packages(bundle)
    (bundle / "_internal/libq.so.6").write_bytes(b"")  # now it travels
    assert set(libraries.packages(bundle)) == {"libc6"}


def test_a_package_that_is_not_in_depends_is_refused(deb, bundle, monkeypatch):
    monkeypatch.setattr(deb, "DEPENDS", ("libgl1",))
    with pytest.raises(deb.Refused, match=r"libx\.so\.1 needs the package libc6"):
        deb.depends(bundle)


def test_wayland_may_be_missing_for_waylands_own_files_only(script):
    optional = script("linux/libraries").optional
    assert optional("libwayland-client0", [Path("plugins/platforms/libqwayland.so")])
    assert not optional("libwayland-client0", [Path("libqwayland.so"), Path("libQt6Gui.so.6")])
    assert not optional("libc6", [Path("libqwayland.so")])


# --- what a desktop is told -----------------------------------------------------------------------


def test_the_menu_entry_starts_the_window_and_says_what_it_opens(project):
    entry = ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[assignment, method-assign]
    entry.read(project / "packaging/linux/mechanoscope.desktop", encoding="utf-8")
    main = entry["Desktop Entry"]
    assert main["Exec"] == "mechanoscope --window %f"
    assert main["MimeType"] == "application/x-mechanoscope-session;"  # folders are others' business
    assert main["Icon"] == "mechanoscope"
    assert main["StartupWMClass"] == "Mechanoscope"  # the name that gui/app.py gives to Qt
    assert main["Actions"] == "new-window;"
    assert entry["Desktop Action new-window"]["Exec"] == "mechanoscope --new-window"


def test_a_session_is_known_by_its_name_and_by_its_bytes(project, tmp_path):
    from engine.session.file import create

    root = Tree.parse(project / "packaging/linux/mime.xml").getroot()
    space = {"m": "http://www.freedesktop.org/standards/shared-mime-info"}
    kind = root.find("m:mime-type", space)
    assert kind is not None
    assert kind.attrib["type"] == "application/x-mechanoscope-session"
    glob, inner = kind.find("m:glob", space), kind.find("m:magic/m:match/m:match", space)
    magic = kind.find("m:magic", space)
    assert glob is not None
    assert inner is not None
    assert magic is not None
    assert glob.attrib["pattern"] == "*.mscope"
    assert int(glob.attrib["weight"]) > 50 < int(magic.attrib["priority"])  # SQLite's own have 50
    create(tmp_path / "a.mscope", {})
    at = int(inner.attrib["offset"])
    written = (tmp_path / "a.mscope").read_bytes()[at : at + 4]
    assert int.from_bytes(written, "big") == int(inner.attrib["value"], 16)


def test_every_command_and_option_is_in_the_manual(script, desk, tmp_path):
    manual = script("linux/manual")
    page = manual.page("9.8.7", desk.day(0), "/opt/x")
    plain = re.sub(r"\\f[BIPR]|\\&", "", page).replace(r"\-", "-")
    assert '"1970-01-01" "Mechanoscope 9.8.7"' in plain
    assert not re.search(r"@[A-Z]+@", page)
    commands = manual.commands(parser())
    assert {"run", "sweep", "script", "tour"} <= set(commands)
    parts = dict(zip(commands, re.split(r"^\.S[SH] .*\n", plain.split(".SH COMMANDS")[1],
                                        flags=re.MULTILINE)[1:], strict=False))  # fmt: skip
    for name, one in commands.items():
        assert f"mechanoscope {name}" in parts[name]
        for action in one._actions:
            for option in action.option_strings:
                assert option in parts[name] or option in ("-h", "--help"), (name, option)
    options = plain.split(".SH OPTIONS")[1].split(".SH COMMANDS")[0]
    for action in parser()._actions:
        assert all(option in options for option in action.option_strings)


def test_a_dot_or_a_quote_at_the_start_of_a_line_is_not_the_typesetters(script):
    roff = script("linux/manual").roff
    assert roff(".csv: a 'table'\\") == r"\&.csv: a \(aqtable\(aq\e"


def test_a_release_without_a_date_is_under_development(desk):
    found = list(
        desk.releases("# C\n\n## 0.2.0 (unreleased)\n\n- A\n  b.\n\n## 0.1.0 (2026-01-02)\n")
    )
    assert found[0] == ("0.2.0", None, ["A b."])
    assert found[1][1].isoformat() == "2026-01-02"
    with pytest.raises(ValueError, match="soon"):
        list(desk.releases("## 0.2.0 soon\n"))
    component = Tree.fromstring(desk.metainfo(0))
    release = component.find("releases/release")
    assert release is not None
    assert release.attrib["version"] == engine.__version__
    assert component.findtext("launchable") == "mechanoscope.desktop"


# --- the package ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("needs_dpkg")
def test_the_package_says_what_it_is_and_runs_nothing(deb, bundle, tmp_path):
    made = deb.make(bundle, tmp_path / "out", fast=True)
    assert list((tmp_path / "out").iterdir()) == [made]  # nothing half-made stays
    told = subprocess.run(["dpkg-deb", "-f", made], capture_output=True, text=True, check=True)
    fields = dict(re.findall(r"^(\S+): (.*)$", told.stdout, re.MULTILINE))
    assert fields["Version"] == deb.debian_version(engine.__version__)
    wanted = (
        "libglib2.0-0 | libglib2.0-0t64", "libegl1", "libgl1", "libdbus-1-3", "libfontconfig1",
        "libxkbcommon0", "libxkbcommon-x11-0", "libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1",
        "libxcb-shape0", "libx11-xcb1",
    )  # fmt: skip
    assert set(wanted) <= set(fields["Depends"].split(", "))
    assert re.match(r"libc6 \(>= 2\.\d+\), ", fields["Depends"])
    root = tmp_path / "root"
    subprocess.run(["dpkg-deb", "--raw-extract", made, root], check=True)
    assert {path.name for path in (root / "DEBIAN").iterdir()} == {"control", "md5sums"}
    size = sum(path.stat().st_size for path in (root / "opt").rglob("*.pyc"))
    assert int(fields["Installed-Size"]) > size / 1024
    assert os.readlink(root / "usr/bin/mechanoscope") == "/opt/mechanoscope/mechanoscope"
    started = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o111
    }
    assert started == {"opt/mechanoscope/mechanoscope"}
    assert os.readlink(root / "opt/mechanoscope/_internal/libx.so") == "libx.so.1"
    page = gzip.decompress((root / "usr/share/man/man1/mechanoscope.1.gz").read_bytes())
    assert f"Mechanoscope {engine.__version__}" in page.decode()
    told = (root / "usr/share/doc/mechanoscope/copyright").read_text(encoding="utf-8")
    assert "Permission is hereby granted" in told
    assert " * Thing 1.2: BSD-3-Clause\n" in told
    assert not re.search(r"@[A-Z]+@", told)
    done = subprocess.run(
        ["md5sum", "--check", "--quiet", "DEBIAN/md5sums"], cwd=root, capture_output=True
    )
    assert done.returncode == 0, done.stdout


def test_a_bundle_without_a_list_of_licences_is_refused(deb, bundle, tmp_path):
    (bundle / "_internal/licences/index.json").unlink()
    with pytest.raises(deb.Refused, match=r"index\.json is not there"):
        deb.make(bundle, tmp_path / "out", fast=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_comes_before_a_release_sorts_before_it(deb):
    assert deb.debian_version("0.2.0rc1") == "0.2.0~rc1"
    assert deb.debian_version("0.2.0.dev3") == "0.2.0~dev3"
    assert deb.debian_version("0.2.0") == "0.2.0"


def test_a_folder_without_a_program_is_refused(deb, archive, tmp_path, capsys):
    assert deb.main([str(tmp_path), "--out", str(tmp_path)]) == 1
    assert archive.main([str(tmp_path), "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.count(f"{tmp_path}: no program") == 2
    assert told.count("make bundle") == 2


# --- the archive and the installer ----------------------------------------------------------------


def test_the_same_bundle_gives_the_same_bytes(archive, bundle, tmp_path):
    first = archive.make(bundle, tmp_path / "a", fast=True)
    os.utime(bundle / "mechanoscope", (1, 1))
    again = tmp_path / "elsewhere"
    shutil.copytree(bundle, again, symlinks=True)
    (again / "_internal/engine/x.pyc").chmod(0o600)
    second = archive.make(again, tmp_path / "b", fast=True)
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    with tarfile.open(first[0]) as packed:
        members = packed.getmembers()
    top = f"mechanoscope-{engine.__version__}"
    assert [member.name for member in members[1:]] == sorted(m.name for m in members[1:])
    assert {(m.uid, m.uname, m.mtime) for m in members} == {(0, "root", 1800000000)}
    started = {m.name for m in members if m.isreg() and m.mode & 0o111}
    assert started == {f"{top}/mechanoscope", f"{top}/install.sh"}


def run(runs, home, *arguments):
    places = {"HOME": str(home), "PATH": os.environ["PATH"]}
    return subprocess.run(["sh", runs, *arguments], env=places, capture_output=True, text=True)


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.skipif(shutil.which("xz") is None, reason="no xz on this machine")
def test_the_installer_installs_for_one_user_and_leaves_no_trace(archive, bundle, tmp_path):
    home = tmp_path / "a home"
    (home / ".local/share/mechanoscope").mkdir(parents=True)
    (home / ".local/share/mechanoscope/kite.mscope").write_bytes(b"a session")
    before = everything(home)
    runs = archive.make(bundle, tmp_path / "out", fast=True)[1]
    for _ in range(2):  # the second is an update
        done = run(runs, home)
        assert done.returncode == 0, done.stderr
    target = home / ".local/opt/mechanoscope"
    entry = (home / ".local/share/applications/mechanoscope.desktop").read_text(encoding="utf-8")
    assert f'Exec="{target}/mechanoscope" --window %f' in entry
    assert (home / ".local/bin/mechanoscope").resolve() == target / "mechanoscope"
    assert (home / ".local/share/mime/packages/mechanoscope.xml").is_file()
    done = run(target / "install.sh", home, "--uninstall")
    assert done.returncode == 0, done.stderr
    assert everything(home) == before


@pytest.mark.skipif(shutil.which("xz") is None, reason="no xz on this machine")
def test_the_installer_refuses_before_it_touches_anything(archive, bundle, tmp_path):
    runs = archive.make(bundle, tmp_path / "out", fast=True)[1]
    home, full = tmp_path / "home", tmp_path / "full"
    home.mkdir()
    full.mkdir()
    (full / "mine").write_bytes(b"")
    assert f"{full} holds something else" in run(runs, home, "--target", full).stderr
    assert "cannot name" in run(runs, home, "--target", f"{tmp_path}/a$b").stderr
    assert "is not installed in" in run(runs, home, "--uninstall").stderr
    assert run(runs, home, "--what").returncode == 2
    raw = runs.read_bytes()
    other = tmp_path / "other.run"
    for old, new, told in (
        (b"machine='", b"machine='z", "processors"),
        (b"glibc='2", b"glibc='99", "newer"),
    ):
        other.write_bytes(raw.replace(old, new, 1))
        done = run(other, home)
        assert done.returncode == 1
        assert told in done.stderr
    other.write_bytes(raw[:-2000])
    assert "damaged" in run(other, home, "--target", tmp_path / "new" / "place").stderr
    assert not (tmp_path / "new").exists()
    assert everything(home) == []
    assert everything(full) == ["mine"]


# --- the picture of deb-check ---------------------------------------------------------------------


def test_a_blank_screen_is_no_window(script, tmp_path, capsys):
    look = script("linux/look")
    words = [100, 7, 2, 24, 40, 30, 0, 0, 32, 0, 32, 32, 160, 4, 0, 0, 0, 8, 0, 0, 40, 30, 0, 0, 0]
    blank = struct.pack(">25I", *words) + bytes(40 * 30 * 4)
    (tmp_path / "screen").write_bytes(blank)
    out = tmp_path / "out.png"
    assert look.main([str(tmp_path / "screen"), str(out), "0"]) == 1
    assert "1 colours, 0% of the screen covered" in capsys.readouterr().err
    many = b"".join(struct.pack("<I", value + 1) for value in range(40 * 30))
    (tmp_path / "screen").write_bytes(blank[:100] + many)
    assert look.drawn(look.screen(tmp_path / "screen")) == (1200, 1.0)
    assert out.read_bytes().startswith(b"\x89PNG")
