"""The workflows: they parse, and what they call is what a person would call, and is there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")
SCRIPT = re.compile(r"(?<!\S)(?:packaging/[\w./-]+|\.ci/run)(?!\S)")
TARGETS = re.compile(r"(?<!\S)make((?: [a-z][\w-]*)+)")


@pytest.fixture(scope="module", params=["gate", "release"])
def workflow(request, project):
    """One workflow as YAML reads it (which takes the key `on` for true)."""
    text = (project / ".github" / "workflows" / f"{request.param}.yml").read_text("utf-8")
    return yaml.safe_load(text)


def the_one(project, name):
    return yaml.safe_load((project / ".github" / "workflows" / f"{name}.yml").read_text("utf-8"))


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def commands(workflow):
    return "\n".join(step.get("run", "") for step in steps(workflow))


def test_every_job_has_the_least_rights_and_an_end(workflow):
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    for name, job in workflow["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 60, name
        writing = [scope for scope, right in job["permissions"].items() if right != "read"]
        assert not writing or name == "publish"


def test_actions_are_named_by_their_commit_and_keep_no_credentials(workflow):
    used = [step for step in steps(workflow) if "uses" in step]
    assert used
    for step in used:
        assert PINNED.fullmatch(step["uses"]), step["uses"]
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_nothing_that_others_write_becomes_a_command(workflow):
    assert "${{" not in commands(workflow)


def test_every_target_they_make_is_in_the_makefile(workflow, project):
    text = (project / "Makefile").read_text("utf-8")
    rules = set(re.findall(r"^([a-z][\w-]*)(?: [a-z][\w-]*)*:(?!=)", text, re.MULTILINE))
    called = commands(workflow) + "\n" + (project / ".ci" / "run").read_text("utf-8")
    wanted = {target for found in TARGETS.findall(called) for target in found.split()}
    assert wanted - {"ca-certificates"} <= rules
    assert wanted & rules


def test_every_script_they_call_is_there(workflow, project):
    named = set(SCRIPT.findall(commands(workflow)))
    assert named
    assert [name for name in sorted(named) if not (project / name).is_file()] == []


def test_the_gate_runs_on_the_pythons_that_the_project_names(project):
    said = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    label = "Programming Language :: Python :: 3."
    named = [entry[len(label) - 2 :] for entry in said["classifiers"] if entry.startswith(label)]
    matrix = the_one(project, "gate")["jobs"]["gate"]["strategy"]["matrix"]
    assert matrix["python"] == sorted(named, key=lambda one: int(one[2:]))
    assert said["requires-python"] == f">={matrix['python'][0]}"
    assert {image.split("-")[0] for image in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_a_release_begins_with_its_tag_and_ends_with_everything_in_a_draft(project):
    release = the_one(project, "release")
    assert release[True]["push"] == {"tags": ["v*"]}
    jobs = release["jobs"]
    first = "\n".join(step.get("run", "") for step in jobs["version"]["steps"])
    assert 'packaging/release.py tag "$GITHUB_REF_NAME"' in first
    makers = {name for name, job in jobs.items() if job.get("needs") == "version"}
    assert makers == {"linux", "windows", "macos"}
    assert set(jobs["publish"]["needs"]) == makers | {"deb-check"}
    assert jobs["publish"]["if"] == "github.ref_type == 'tag'"
    last = "\n".join(step.get("run", "") for step in jobs["publish"]["steps"])
    assert last.index("release.py sums dist") < last.index("gh release create")
    assert "--draft" in last
    made = [step.get("with", {}) for job in makers for step in jobs[job]["steps"]]
    kept = [entry for entry in made if "path" in entry]
    ends = {Path(line).suffix for entry in kept for line in entry["path"].split()}
    assert ends >= {".deb", ".run", ".xz", ".exe", ".zip", ".dmg"}
    assert all(entry["if-no-files-found"] == "error" for entry in kept)


# --- packaging/release.py -----------------------------------------------------------------------


def test_a_tag_is_the_version_with_a_v(script, capsys):
    release = script("release")
    now = script("beside").version()
    assert release.main(["tag", f"v{now}"]) == 0
    for wrong in (now, f"v{now}.1", "v", "main"):
        assert release.main(["tag", wrong]) == 1
        assert f"the program's version is {now}: tag v{now}" in capsys.readouterr().err


CHANGELOG = """# Changelog

## 0.3.0 (unreleased)

- Later.

## 0.2.0 (2026-12-01)

- Installers.
- More.

## 0.1.0 (2026-11-01)
"""


def test_the_text_of_a_release_is_its_section_of_the_changelog(script):
    release = script("release")
    assert release.notes(CHANGELOG, "0.2.0") == "- Installers.\n- More.\n"
    for version, why in (
        ("0.3.0", "put the date in its place"),
        ("0.1.0", "says nothing about 0.1.0"),
        ("0.2", "no section '## 0.2'"),
    ):
        with pytest.raises(release.Refused, match=why):
            release.notes(CHANGELOG, version)


def test_the_checksums_are_those_that_others_compute(script, tmp_path, capsys):
    release = script("release")
    assert release.main(["sums", str(tmp_path)]) == 1
    assert "holds no file" in capsys.readouterr().err
    (tmp_path / "b.deb").write_bytes(b"abc")
    (tmp_path / "a.exe").write_bytes(b"")
    for _ in range(2):  # the list itself is not in it
        assert release.main(["sums", str(tmp_path)]) == 0
    assert (tmp_path / "SHA256SUMS").read_bytes() == (
        b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.exe\n"
        b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b.deb\n"
    )
