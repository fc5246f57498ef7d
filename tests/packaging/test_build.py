"""The script that builds the packaged program: what it lets out, what it holds back."""

import ast
import os
import shutil
import subprocess
import sys

import pytest

import engine

posix = pytest.mark.skipif(os.name == "nt", reason="a script as a program, and symbolic links")


@pytest.fixture
def build(script):
    return script("build")


@pytest.fixture
def bundle(tmp_path, build):
    """What a bundle must have, and nothing else."""
    folder = tmp_path / "mechanoscope"
    for pattern in build.NEEDED:
        file = folder / "_internal" / pattern.replace("*", "some")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"1234")
    return folder


def add(bundle, name):
    file = bundle / "_internal" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"12")
    return file


def test_the_version_is_the_engines(script):
    assert script("beside").version() == engine.__version__


def test_what_a_bundle_needs_is_enough(build, bundle):
    assert build.problems(bundle) == []
    assert build.size(bundle) == 4 * len(build.NEEDED)


@pytest.mark.parametrize(
    "name",
    [
        "torch/__init__.pyc", "torch/lib/libtorch_cpu.so", "PySide6/lib/libQt6WebEngineCore.so",
        "PySide6/QtWebEngineCore.abi3.so", "PySide6/Qt/qml/QtQuick/x.so", "numpy/tests/test_x.pyc",
        "tests/conftest.pyc", "engine/test_things.pyc", "_pytest/main.pyc", "libgtk-3.so.0",
        "huggingface_hub/__init__.pyc", "scipy/stats/_x.so", "mechanoscope.egg-info/PKG-INFO",
        "resources/models/world-4l/make.py",
    ],
)  # fmt: skip
def test_what_must_stay_out_is_named(build, bundle, name):
    add(bundle, name)
    found = build.problems(bundle)
    assert found
    assert all(name in problem for problem in found)


@pytest.mark.parametrize(
    "name",
    ["scipy/_lib/array_api_compat/torch/_info.pyc", "engine/model/torch_file.pyc",
     "tokenizers/models/__init__.pyc", "unittest/case.pyc"],
)  # fmt: skip
def test_what_only_looks_like_it_may_stay(build, bundle, name):
    add(bundle, name)
    assert build.problems(bundle) == []


def test_what_is_missing_is_named(build, bundle):
    (bundle / "_internal" / "licences" / "index.json").unlink()
    assert build.problems(bundle) == ["nothing in it is licences/index.json"]


def test_a_bundle_that_is_too_large_is_refused(build, bundle):
    assert build.problems(bundle, limit=10) == ["it has 0 MB, more than 0"]
    assert build.LARGEST <= 240e6


@posix
def test_a_link_that_leads_nowhere_is_named(build, bundle):
    (bundle / "_internal" / "libx.so").symlink_to("nothing.so")
    assert build.problems(bundle) == ["_internal/libx.so leads nowhere"]


@pytest.mark.skipif(sys.platform != "linux", reason="where a bundle is a folder with a script")
@pytest.mark.parametrize("code", [0, 3])
def test_the_self_tests_word_counts(build, bundle, code):
    program = bundle / "mechanoscope"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --self-test ] && [ -z "$PYTHONPATH" ] && exit {code}\n'
    )
    program.chmod(0o755)
    if code:
        with pytest.raises(build.Refused, match=f"exit code {code}"):
            build.self_test(bundle)
    else:
        assert build.self_test(bundle) < build.SELF_TEST_SECONDS


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and cc")
def test_icus_tables_become_a_library_without_any(build, tmp_path):
    library, header = tmp_path / "libicudata.so.73", bytearray(64)
    header[0], header[2:4], header[12:16] = len(header), b"\xda\x27", b"CmnD"
    values = ",".join(map(str, [*header, *range(200)] * 1))
    (tmp_path / "a.c").write_text(f"const unsigned char icudt73_dat[] = {{{values}}};")
    command = ["cc", "-shared", "-fPIC", "-nostdlib", "-o", str(library), str(tmp_path / "a.c")]
    subprocess.run(command, check=True)
    build.empty_tables(library)
    symbol, kept = build._table(library)
    assert (symbol, kept) == ("icudt73_dat", bytes(header))
    assert bytes(range(1, 100)) not in library.read_bytes()
    library.write_bytes(b"something else")
    with pytest.raises(build.Refused, match="not a library of ICU's data"):
        build.empty_tables(library)


def test_nothing_of_ours_imports_what_the_bundle_leaves_out(project, script):
    excluded = set(script("contents").EXCLUDED)
    assert {"torch", "scipy.linalg", "pytest"} <= excluded
    extras = {"distributed", "huggingface_hub"}  # asked for where they are wanted, and said so
    for file in (*project.glob("engine/**/*.py"), *project.glob("gui/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            imported = []
            if isinstance(node, ast.Import):
                imported = [entry.name for entry in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported = [node.module, *(f"{node.module}.{entry.name}" for entry in node.names)]
            for name in imported:
                parts = name.split(".")
                ahead = {".".join(parts[: count + 1]) for count in range(len(parts))}
                assert not ahead & (excluded - extras), f"{file.name} imports {name}"


@pytest.mark.parametrize(
    ("place", "of_system", "travels"),
    [
        ("resources/models/world-4l/model.safetensors", False, True),
        ("resources/models/world-4l/make.py", False, False),
        ("PySide6/Qt/plugins/platforms/libqxcb.so", False, True),
        ("PySide6/Qt/plugins/platforms/libqoffscreen.so", False, True),
        ("PySide6/Qt/plugins/platforms/libqvnc.so", False, False),
        ("PySide6\\plugins\\tls\\qschannelbackend.dll", False, False),
        ("libxcb-cursor.so.0", True, True),
        ("libstdc++.so.6", True, False),
        ("libX11.so.6", True, False),
        ("libfontconfig.so.1", True, False),
    ],
)
def test_what_travels(script, place, of_system, travels):
    assert script("contents").wanted(place, of_system=of_system) is travels


@pytest.mark.hard
def test_the_bundle_is_built_and_tests_itself(project, build):
    subprocess.run(["make", "bundle"], cwd=project, check=True, timeout=900)
    bundle = build.bundle_of(build.DIST)
    assert build.problems(bundle) == []
    done = subprocess.run(
        [str(build.program(bundle)), "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["mechanoscope", engine.__version__]
