"""What Windows and macOS are given: icons, version, installer, application."""

import ast
import os
import plistlib
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import PurePosixPath

import pytest


@pytest.fixture(scope="module")
def icons(script, tmp_path_factory):
    """The folder that packaging/icons.py fills."""
    return script("icons").make(tmp_path_factory.mktemp("icons"))


# --- Windows: version and manifest ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "four"),
    [("0.1.0", (0, 1, 0, 0)), ("1.2.3rc1", (1, 2, 3, 0)), ("2.0.1.7", (2, 0, 1, 7))],
)
def test_a_version_becomes_windows_four_numbers(script, version, four):
    assert script("windows/version_info").numbers(version) == four


@pytest.mark.parametrize("version", ["", "v1", "1.2.3.4.5", "1.70000.0"])
def test_a_version_that_windows_cannot_hold_is_refused(script, version):
    with pytest.raises(ValueError, match="version: "):
        script("windows/version_info").numbers(version)


@pytest.mark.parametrize("name", ["mechanoscope", "mechanoscope-cli"])
def test_the_version_resource_is_what_pyinstaller_evaluates(script, name):
    text = script("windows/version_info").version_file("0.1.0", name)
    calls = [node for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Call)]
    named: dict[str, list[ast.Call]] = {}
    for call in calls:
        assert isinstance(call.func, ast.Name)
        named.setdefault(call.func.id, []).append(call)
    # PyInstaller's classes, and nothing else, with values only.
    kinds = {"VSVersionInfo", "FixedFileInfo", "StringFileInfo", "StringTable", "StringStruct"}
    assert set(named) == kinds | {"VarFileInfo", "VarStruct"}
    fixed = {key.arg: key.value for key in named["FixedFileInfo"][0].keywords}
    assert ast.literal_eval(fixed["filevers"]) == (0, 1, 0, 0)
    pairs = [list(map(ast.literal_eval, call.args)) for call in named["StringStruct"]]
    table = dict(pairs)
    assert table["OriginalFilename"] == f"{name}.exe"
    assert table["ProductVersion"] == "0.1.0"
    assert table["ProductName"] == "Mechanoscope"


def test_the_manifest_asks_for_sharp_text_utf8_and_long_paths_but_no_rights(script):
    root = ElementTree.fromstring(script("windows/version_info").MANIFEST)
    said = {element.tag.rpartition("}")[2]: element for element in root.iter()}
    assert said["dpiAwareness"].text == "PerMonitorV2"
    assert said["activeCodePage"].text == "UTF-8"
    assert said["longPathAware"].text == "true"
    assert said["requestedExecutionLevel"].get("level") == "asInvoker"
    assert root.tag == "{urn:schemas-microsoft-com:asm.v1}assembly"


# --- Windows: the installer -----------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path):
    """A folder as a build on Windows leaves it, with awkward names."""
    folder = tmp_path / "mechanoscope"
    names = ("mechanoscope.exe", "mechanoscope-cli.exe", "_internal/session.ico")
    for name in (*names, "_internal/a $b/é 1.txt", "_internal/a $b/c/d.bin"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 3000)
    return folder


def test_the_uninstaller_names_each_file_and_removes_no_folder_with_its_contents(script, bundle):
    maker = script("windows/build_installer")
    files = maker.contents(bundle)
    removals = maker.removal_list(files).splitlines()
    assert removals[-3:] == [
        'RMDir "$INSTDIR\\_internal\\a $$b\\c"',
        'RMDir "$INSTDIR\\_internal\\a $$b"',
        'RMDir "$INSTDIR\\_internal"',
    ]
    deleted = {line for line in removals if line.startswith("Delete ")}
    assert len(deleted) == len(files) == 5
    assert 'Delete "$INSTDIR\\_internal\\a $$b\\é 1.txt"' in deleted
    whole = maker.removal_list(files) + (maker.HERE / "mechanoscope.nsi").read_text("utf-8")
    assert "rmdir /r" not in whole.lower()
    assert "*" not in maker.removal_list(files)


def test_what_is_installed_is_what_is_removed(script, bundle):
    maker = script("windows/build_installer")
    files = maker.contents(bundle)
    installed, folder = set(), ""
    for line in maker.install_list(bundle, files).splitlines():
        word, _, value = line.partition(" ")
        value = value.strip('"')
        if word == "SetOutPath":
            folder = value
        else:
            installed.add(f"{folder}\\{PurePosixPath(value).name.replace('$', '$$')}")
    lines = maker.removal_list(files).splitlines()
    assert installed == {line[8:-1] for line in lines if line.startswith("Delete ")}


def test_a_bundle_of_another_system_and_a_path_that_is_too_long_are_refused(script, bundle):
    maker = script("windows/build_installer")
    long = bundle / "_internal" / ("n" * 120) / ("m" * 80)
    long.parent.mkdir()
    long.write_bytes(b"")
    with pytest.raises(maker.Refused, match="letters, more than 179"):
        maker.contents(bundle)
    long.unlink()
    (bundle / "mechanoscope-cli.exe").unlink()
    with pytest.raises(maker.Refused, match=r"lacks mechanoscope-cli\.exe"):
        maker.contents(bundle)


def test_without_nsis_it_is_said_where_to_get_it(script, bundle, icons, tmp_path, monkeypatch):
    maker = script("windows/build_installer")
    for name in ("PATH", "ProgramFiles", "ProgramFiles(x86)"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(maker.Refused, match="apt-get install nsis"):
        maker.build(bundle, "0.1.0", tmp_path / "setup.exe", icons)


@pytest.mark.skipif(shutil.which("makensis") is None, reason="NSIS (makensis) is not installed")
def test_nsis_makes_an_installer_without_a_warning(script, bundle, icons, tmp_path):
    out = tmp_path / "out" / "mechanoscope-setup.exe"
    assert script("windows/build_installer").build(bundle, "0.1.0", out, icons) == out
    data = out.read_bytes()
    assert data[:2] == b"MZ"
    assert "Mechanoscope 0.1.0 setup".encode("utf-16-le") in data  # its own version resource
    assert b"PerMonitorV2" in data or b"dpiAware" in data


def wine_program():
    """Wine for 64-bit programs, wherever Debian puts it."""
    return shutil.which("wine64") or shutil.which("wine64", path="/usr/lib/wine")


@pytest.mark.hard
@pytest.mark.skipif(wine_program() is None, reason="Wine (wine64) is not installed")
@pytest.mark.skipif(shutil.which("makensis") is None, reason="NSIS (makensis) is not installed")
def test_the_installer_installs_upgrades_and_leaves_what_is_not_its_own(
    script, bundle, icons, tmp_path
):
    maker, home = script("windows/build_installer"), tmp_path / "wine"
    extra = ["-XTarget amd64-unicode"]  # no 32-bit Wine is needed then; the script is the same
    older, newer = tmp_path / "old-setup.exe", tmp_path / "new-setup.exe"
    (bundle / "_internal" / "only-old.txt").write_bytes(b"x")
    maker.build(bundle, "0.0.9", older, icons, extra)
    (bundle / "_internal" / "only-old.txt").unlink()
    maker.build(bundle, "0.1.0", newer, icons, extra)
    # No menu entries, no downloads: nothing outside of its own folder.
    parts = "mscoree,mshtml=;winemenubuilder.exe=d"
    places = {"WINEPREFIX": str(home), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": parts}
    places |= {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}

    def wine(*words):
        command = [wine_program(), *map(str, words)]
        return subprocess.run(
            command, env=places, capture_output=True, text=True, check=False, timeout=120
        )

    def version():
        key = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\Mechanoscope"
        return wine("reg", "query", key, "/v", "DisplayVersion").stdout

    wine("reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f")
    place = home / "drive_c" / "place"
    try:
        assert wine(older, "/S", "/CurrentUser", r"/D=C:\place").returncode == 0
        assert (place / "_internal" / "only-old.txt").is_file()
        assert "0.0.9" in version()
        (place / "_internal" / "mine.txt").write_bytes(b"x")
        assert wine(newer, "/S").returncode == 0  # finds the place by itself
        assert "0.1.0" in version()
        names = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
        made = {str(path) for path in maker.contents(bundle)}
        assert names == made | {"uninstall.exe", "_internal/mine.txt"}
        wine(r"C:\place\uninstall.exe", "/S", r"_?=C:\place")
        left = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
        assert left <= {"_internal/mine.txt", "uninstall.exe"}  # it cannot remove itself in place
        assert "_internal/mine.txt" in left
        assert "0.1.0" not in version()
    finally:
        wine("wineboot", "--kill")


# --- macOS ----------------------------------------------------------------------------------------


def test_info_plist_survives_a_round_trip_and_declares_the_session_type(script):
    maker = script("macos/info_plist")
    keys = maker.info_plist("0.2.0rc1")
    assert plistlib.loads(plistlib.dumps(keys)) == keys
    assert keys["CFBundleIdentifier"] == maker.IDENTIFIER
    assert keys["CFBundleShortVersionString"] == keys["CFBundleVersion"] == "0.2.0"
    (exported,) = keys["UTExportedTypeDeclarations"]
    assert exported["UTTypeTagSpecification"]["public.filename-extension"] == ["mscope"]
    assert {"public.data", "public.database"} <= set(exported["UTTypeConformsTo"])
    (owned,) = [kind for kind in keys["CFBundleDocumentTypes"] if kind["LSHandlerRank"] == "Owner"]
    assert owned["LSItemContentTypes"] == [exported["UTTypeIdentifier"]]
    assert owned["CFBundleTypeIconFile"] == "session.icns"
    assert "NSRequiresAquaSystemAppearance" not in keys  # or dark mode would be lost
    assert keys["NSHighResolutionCapable"] is True


def test_the_entitlements_ask_for_one_thing(script):
    path = script("macos/dmg").HERE / "entitlements.plist"
    asked = plistlib.loads(path.read_bytes())
    assert asked == {"com.apple.security.cs.disable-library-validation": True}


def test_the_disk_image_shows_both_icons_where_its_ground_expects_them(script, icons, tmp_path):
    drawn = script("icons")
    chosen = script("macos/dmg").settings(tmp_path / "Mechanoscope.app", icons)
    _, (width, height) = chosen["window_rect"]
    assert (width, height) == drawn.WINDOW
    assert chosen["icon_size"] == drawn.ICON
    places = {"Mechanoscope.app": (drawn.LEFT, drawn.MIDDLE)}
    assert chosen["icon_locations"] == places | {"Applications": (drawn.RIGHT, drawn.MIDDLE)}
    assert set(chosen["symlinks"]) == {"Applications"}
    half = drawn.ICON / 2
    for x, y in chosen["icon_locations"].values():
        assert half < x < width - half
        assert half < y < height - half - 30  # the name is written below
    assert (icons / "ground@2x.png").is_file()
    assert all((icons / chosen[key]).is_file() for key in ("icon", "background"))


def test_a_disk_image_of_nothing_or_without_pictures_is_refused(script, app, tmp_path):
    out = tmp_path / "out.dmg"
    with pytest.raises(OSError, match="is no application"):
        script("macos/dmg").build(tmp_path, out)
    (app / "Contents" / "Info.plist").write_bytes(plistlib.dumps({}))
    with pytest.raises(OSError, match=r"mechanoscope\.icns is not there: packaging/build\.py"):
        script("macos/dmg").build(app, out, tmp_path)


def test_an_installer_without_pictures_is_refused(script, bundle, tmp_path):
    maker = script("windows/build_installer")
    with pytest.raises(maker.Refused, match=r"mechanoscope\.ico is not there"):
        maker.build(bundle, "0.1.0", tmp_path / "setup.exe", tmp_path)


# --- signing: the script, with programs that only write down how they were called ----------------


@pytest.fixture
def signing(script, tmp_path):
    """`signing(path, **environment)` runs sign.sh; it gives what it said and the calls it made."""
    tools, log = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    written = 'echo "$(basename "$0") $*" >> "$CALLS"'
    kind = 'case "$2" in *.txt) echo text;; *) echo "Mach-O 64-bit";; esac'
    bodies = {"codesign": written, "xcrun": written, "spctl": written, "file": kind}
    for name, body in bodies.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tools / name).chmod(stat.S_IRWXU)

    def run(path, **environment):
        log.write_text("", encoding="utf-8")
        sign = script("macos/dmg").HERE / "sign.sh"
        places = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "CALLS": str(log)}
        done = subprocess.run(
            ["sh", str(sign), str(path)],
            env=places | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done, log.read_text(encoding="utf-8").splitlines()

    return run


@pytest.fixture
def app(tmp_path):
    contents = tmp_path / "Mechanoscope.app" / "Contents"
    framework = "Frameworks/Qt/lib/QtCore.framework"
    for name in (
        "MacOS/mechanoscope", "Frameworks/numpy/core.so", "Frameworks/libz.dylib",
        f"{framework}/Versions/A/QtCore", "Resources/licences/Qt.txt",
    ):  # fmt: skip
        (contents / name).parent.mkdir(parents=True, exist_ok=True)
        (contents / name).write_bytes(b"")
    return contents.parent


posix = pytest.mark.skipif(sys.platform == "win32", reason="sign.sh is for macOS; it needs a shell")


@posix
def test_libraries_are_signed_before_frameworks_and_the_application_last(signing, app):
    done, calls = signing(app, MECHANOSCOPE_SIGN_IDENTITY="Developer ID Application: We (T)")
    assert done.returncode == 0, done.stderr
    signed = [call for call in calls if "--sign" in call]
    assert [call.rsplit("/", 1)[1] for call in signed[-2:]] == [
        "QtCore.framework",
        "Mechanoscope.app",
    ]
    assert {call.rsplit("/", 1)[1] for call in signed[:-2]} == {"core.so", "libz.dylib"}
    assert all("--options runtime --timestamp" in call for call in signed)
    assert ["entitlements.plist" in call for call in signed] == [False, False, False, True]
    assert not any("--deep" in call for call in signed)
    assert calls[-1].startswith("codesign --verify --deep --strict")


@posix
def test_without_an_identity_the_application_is_sealed_and_it_is_said(signing, app):
    done, calls = signing(app)
    assert done.returncode == 0, done.stderr
    assert "MECHANOSCOPE_SIGN_IDENTITY is not set" in done.stdout
    assert calls[0] == f"codesign --force --sign - {app}"


@posix
def test_an_image_is_notarised_only_with_a_profile(signing, tmp_path):
    image = tmp_path / "m.dmg"
    image.write_bytes(b"")
    done, calls = signing(image)
    assert (done.returncode, calls) == (0, [])
    assert "neither signed nor notarised" in done.stdout
    done, calls = signing(image, MECHANOSCOPE_SIGN_IDENTITY="We")
    assert "signed, but not notarised" in done.stdout
    assert not any(call.startswith("xcrun") for call in calls)
    full = {"MECHANOSCOPE_SIGN_IDENTITY": "We", "MECHANOSCOPE_NOTARY_PROFILE": "ours"}
    _, calls = signing(image, **full)
    assert [" ".join(call.split()[:3]) for call in calls[-3:]] == [
        "xcrun notarytool submit",
        "xcrun stapler staple",
        "spctl --assess --type",
    ]


@posix
def test_what_is_neither_application_nor_image_is_refused(signing, tmp_path):
    done, calls = signing(tmp_path)
    assert (done.returncode, calls) == (1, [])
    assert "is neither an .app nor a .dmg" in done.stderr
