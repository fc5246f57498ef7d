"""Nothing travels without its text, and the version stands in one place."""

import ast
import json
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

import engine
from engine import licences
from engine.errors import FileError
from engine.versions import LIBRARIES


@pytest.fixture(scope="session")
def collector(script):
    return script("licences")


@pytest.fixture(scope="module")
def collected(collector, tmp_path_factory):
    """What `--check` looks at: all that the program is made of here, written out once."""
    target = tmp_path_factory.mktemp("collected") / "licences"
    asked = licences.closure([*LIBRARIES, *collector.WINDOW], collector.LEFT_OUT)
    return target, {part.name: part for part in collector.collect(asked, target)}


def texts(collected, name):
    folder, parts = collected
    return "\n".join((folder / file).read_text("utf-8") for file in parts[name].files)


def test_every_part_has_its_text_and_the_index_names_them_all(collected):
    folder, parts = collected
    rows = licences.read(folder)
    assert [row.name for row in rows] == list(parts)
    assert all(row.files and row.version is not None for row in rows)
    named = {Path(file) for row in rows for file in row.files}
    there = {file for file in folder.rglob("*") if file.is_file()} - {folder / "index.json"}
    assert named == there
    assert all(text.strip() for row in rows for _, text in row.texts())


def test_every_distribution_that_pyproject_asks_for_is_in_it(collected, collector, project):
    asked = re.findall(
        r'^    "([\w.-]+)[<>=]',
        (project / "pyproject.toml").read_text("utf-8").partition("[project.optional")[0],
        re.MULTILINE,
    )
    assert {licences.normal(name) for name in asked} == {
        licences.normal(name) for name in (*LIBRARIES, *collector.WINDOW)
    }
    assert {licences.normal(name) for name in asked} <= set(map(licences.normal, collected[1]))


def test_qts_licence_comes_with_its_version_its_source_and_how_to_replace_it(collected):
    text = texts(collected, "PySide6_Essentials")
    version = metadata.version("PySide6_Essentials")
    assert f"Qt {version} and Qt for Python" in text
    assert "https://download.qt.io/official_releases/qt/" in text
    assert "replaced" in text
    for heading in ("GNU LESSER GENERAL PUBLIC LICENSE", "GNU GENERAL PUBLIC LICENSE"):
        assert re.search(rf"{heading}\s+Version 3, 29 June 2007", text)
    assert "{version}" not in text


def test_what_wheels_bundle_or_compile_in_is_named_with_its_terms(collected):
    _, parts = collected
    assert parts["OpenBLAS"].note == "bundled with numpy"
    gcc = next(name for name in parts if name.startswith("GCC runtime"))
    assert "GCC RUNTIME LIBRARY EXCEPTION" in texts(collected, gcc)
    crates = texts(collected, "tokenizers")
    assert re.search(r"^regex [\d.]+: MIT OR Apache-2.0", crates, re.MULTILINE)
    assert "K.Kosako" in crates  # Oniguruma, a library in C inside one in Rust
    assert "Apache License" in crates
    assert "PYTHON SOFTWARE FOUNDATION LICENSE" in texts(collected, "Python")
    assert "Mersenne Twister" in texts(collected, "Python")
    assert "SIL OPEN FONT LICENSE" in texts(collected, "Inter")
    assert "ISC License" in texts(collected, "Lucide icons")


def test_files_of_one_name_do_not_overwrite_each_other(collected):
    _, parts = collected
    files = parts["numpy"].files
    assert len(files) == len(set(files)) == len(licences.distribution("numpy").files) > 5


def test_a_part_without_a_text_stops_the_build_by_name(collector, tmp_path, monkeypatch):
    target = tmp_path / "licences"
    monkeypatch.delitem(licences.WITHOUT, "tokenizers")
    monkeypatch.setattr(collector, "_crates", lambda part, made: [])
    with pytest.raises(collector.NoText, match=r"found for: tokenizers \d.*packaging/licences/"):
        collector.collect(["tokenizers", "msgspec"], target)
    assert not target.exists()


def test_a_list_of_compiled_in_parts_must_say_their_licence(collector, tmp_path, monkeypatch):
    part = licences.distribution("tokenizers")

    def listed(*rows):
        file = tmp_path / "a.cyclonedx.json"
        file.write_text(json.dumps({"components": list(rows)}))
        path = metadata.PackagePath(file.name)
        path.dist = metadata.PathDistribution(tmp_path / "x.dist-info")
        fake = type("Fake", (), {"files": [path]})
        monkeypatch.setattr(collector.metadata, "distribution", lambda _: fake)
        return collector._crates(part, tmp_path)

    row = {"name": "fine", "version": "1", "licenses": [{"expression": "MIT"}]}
    assert [Path(file).name for file in listed(row)] == ["compiled-in.txt", "MIT.txt"]
    with pytest.raises(collector.NoText, match="no licence of odd"):
        listed(row, {"name": "odd", "version": "1"})
    with pytest.raises(collector.NoText, match=r"no text is here for odd \(Odd-1.0\)"):
        listed({"name": "odd", "version": "1", "licenses": [{"expression": "Odd-1.0"}]})


def test_a_library_of_no_package_stops_the_build(collector, tmp_path):
    stray = tmp_path / "libstray.so.1"
    stray.touch()
    with pytest.raises(collector.NoText, match=r"libstray\.so\.1 belongs to no package"):
        list(collector.of_system([stray], tmp_path))


@pytest.mark.skipif(not shutil.which("dpkg"), reason="this system has no dpkg")
def test_a_library_of_this_system_brings_its_packages_copyright(collector, tmp_path):
    found = sorted(
        path
        for folder in ("/lib", "/usr/lib")
        for path in Path(folder).glob("*-linux-gnu/libz.so.1")
    )
    if not found:
        pytest.skip("zlib is not installed")
    (part,) = collector.of_system([found[0]], tmp_path)
    assert part.name == "zlib"
    assert part.version
    assert "Jean-loup Gailly" in Path(part.files[0]).read_text("utf-8")


def test_an_index_that_is_damaged_is_refused_by_name(tmp_path):
    with pytest.raises(FileError, match=r"index\.json"):
        licences.read(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(FileError, match="not a list of parts"):
        licences.read(tmp_path)


def test_the_check_prints_the_table_or_names_what_lacks(collector, monkeypatch, capsys):
    part = licences.Part(name="fine", version="1.0", licence="")
    monkeypatch.setattr(collector, "collect", lambda names, target: [part])
    assert collector.main(["--check"]) == 0
    assert re.search(r"^fine +1\.0 +see its text", capsys.readouterr().out)

    def lacks(names, target):
        raise collector.NoText("no licence text was found for: odd")

    monkeypatch.setattr(collector, "collect", lacks)
    assert collector.main(["--check"]) == 1
    assert "for: odd" in capsys.readouterr().err


def test_the_version_stands_in_one_place(project):
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--",
         "pyproject.toml", "Makefile", "packaging", ".github", "gui", "engine"],
        cwd=project, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    number = re.compile(rf"(?<![\w.]){re.escape(engine.__version__)}(?![\w.])")
    others = []
    for name in listed.stdout.split():
        pinned = name.startswith(("packaging/constraints", "packaging/licences/"))
        file = project / name
        if pinned or name == "engine/__init__.py" or not file.is_file():
            continue
        if number.search(file.read_bytes().decode("utf-8", "replace")):
            others.append(name)
    assert others == [], f"{engine.__version__} belongs into engine/__init__.py alone"
    # Scripts read it there without importing, so it must be a plain text.
    tree = ast.parse((project / "engine" / "__init__.py").read_text("utf-8"))
    said = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert [ast.literal_eval(value) for value in said] == [engine.__version__]
    assert 'attr = "engine.__version__"' in (project / "pyproject.toml").read_text("utf-8")
