"""The command line on session files: runs are added, listed and written out."""

from __future__ import annotations

import json
import runpy
import shlex
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine import arguments, cli, headless
from engine.errors import FileError
from engine.export import to_script
from engine.model import open_model, weights_digest
from engine.session import ModelRef, Run, Session
from engine.techniques.logit_lens import LogitLens

Captured = pytest.CaptureFixture[str]
PROMPT = ["--set", "prompt=[1, 2, 3]"]


@pytest.fixture(scope="module")
def folder(data: Path) -> str:
    return str(data / "families" / "gpt2-tied")


@pytest.fixture
def session(tmp_path: Path, folder: str, capsys: Captured) -> Path:
    """A session with one run of the logit lens, as the command makes it."""
    path = tmp_path / "a.mscope"
    words = ["run", "LogitLens", "--model", folder, *PROMPT, "--session", str(path)]
    assert cli.main(words) == 0
    assert str(path) in capsys.readouterr().err
    return path


def _line(capsys: Captured) -> str:
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    return said.err


def test_a_run_is_added_to_a_new_session_and_to_an_old_one(session: Path, folder: str) -> None:
    words = ["run", "LogitLens", "--model", folder, *PROMPT, "--set", "top_k=2"]
    out = session.with_name("out.npz")
    assert cli.main([*words, "--session", str(session), "--out", str(out)]) == 0
    with Session.open(session) as file:
        runs = [file.load(row.id) for row in file.runs()]
    assert [run.spec for run in runs] == [
        LogitLens(prompt=(1, 2, 3)),
        LogitLens(prompt=(1, 2, 3), top_k=2),
    ]
    with np.load(out) as stored:
        np.testing.assert_array_equal(stored["kl"], runs[1].result.kl)
        assert json.loads(str(stored["provenance"]))["digest"] == runs[1].digest
    pieces = open_model(folder).pieces([1, 2, 3])
    assert [runs[0].words[token] for token in (1, 2, 3)] == pieces


def test_a_run_that_failed_is_kept_too(session: Path, folder: str, capsys: Captured) -> None:
    words = ["run", "LogitLens", "--model", folder, "--set", "prompt=[]"]
    assert cli.main([*words, "--session", str(session)]) == 1
    assert f"the run, without a result, is in {session}" in _line(capsys)
    assert [run["status"] for run in headless.about_session(session)] == ["finished", "failed"]


def test_runs_are_listed_as_a_table_and_as_json(session: Path, capsys: Captured) -> None:
    assert cli.main(["session", str(session)]) == 0
    heads, line = capsys.readouterr().out.splitlines()
    assert heads.split() == [
        "id", "kind", "title", "model", "status", "started", "(UTC)", "seconds", "MB",
    ]  # fmt: skip
    assert line.split()[:6] == ["1", "LogitLens", "Logit", "lens", "gpt2-tied", "finished"]
    assert cli.main(["session", str(session), "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["id"], run["kind"], run["kept"]) == (1, "LogitLens", True)
    assert run["size"] > 0


def test_an_unreadable_run_is_listed_and_the_others_are_written(
    session: Path, capsys: Captured
) -> None:
    with Session.open(session) as file:
        file.add(replace(file.load(1), id=0))
    with closing(sqlite3.connect(session)) as db:
        db.execute("UPDATE runs SET status = 'sideways' WHERE id = 1")
        db.commit()
    assert cli.main(["session", str(session)]) == 0
    assert "1   LogitLens  not readable: " in capsys.readouterr().out
    out = str(session.with_name("out.npz"))
    assert cli.main(["export", str(session), "1", "--out", out]) == 1
    assert "run 1 is not readable" in _line(capsys)
    assert cli.main(["export", str(session), "2", "--out", out]) == 0


def test_what_a_file_says_of_itself_does_not_steer_the_terminal(
    tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "a.mscope"
    evil = "\x1b[2J\x1b]0;owned\x07 a\nb\u202e"
    with Session.create(path) as file:
        file.add(Run(spec=LogitLens(prompt=(1,)), model=ModelRef(evil, evil), title=evil))
    assert cli.main(["session", str(path)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") == 2
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_a_run_leaves_a_session_in_every_form(session: Path, capsys: Captured) -> None:
    with Session.open(session) as file:
        run = file.load(1)
    assert tuple(headless.EXPORTS) == arguments.EXPORTS
    for how in arguments.EXPORTS:
        out = session.with_name(f"out.{how}")
        assert cli.main(["export", str(session), "1", "--out", str(out)]) == 0
        assert str(out) in _line(capsys)
        assert out.stat().st_size > 0
    done = runpy.run_path(str(session.with_name("out.py")))
    np.testing.assert_array_equal(done["result"].kl, run.result.kl)
    with np.load(session.with_name("out.npz")) as stored:
        np.testing.assert_array_equal(stored["kl"], run.result.kl)
    about = json.loads(session.with_name("out.json").read_text())
    assert about == msgspec.json.decode(msgspec.json.encode(run.provenance()))
    assert json.loads(session.with_name("out.ipynb").read_text())["nbformat"] == 4
    assert "kl,2,0,,,,0.0\n" in session.with_name("out.csv").read_text()


def test_the_form_is_said_where_the_name_does_not_say_it(session: Path, capsys: Captured) -> None:
    out = session.with_name("out.txt")
    assert cli.main(["export", str(session), "1", "--out", str(out)]) == 2
    assert "say what it is with --as npz|csv|py|ipynb|sh|json" in _line(capsys)
    assert cli.main(["export", str(session), "1", "--as", "py", "--out", str(out)]) == 0
    assert out.read_text().startswith('"""Logit lens')


def test_a_run_without_a_result_is_written_as_a_script_only(
    tmp_path: Path, capsys: Captured
) -> None:
    path, out = tmp_path / "a.mscope", tmp_path / "out"
    with Session.create(path) as file:
        file.add(Run(spec=LogitLens(prompt=(1,)), status="failed", error="no"))
    for how, code in (("npz", 1), ("csv", 1), ("py", 0), ("ipynb", 0), ("json", 0)):
        assert cli.main(["export", str(path), "1", "--as", how, "--out", str(out)]) == code
        line = _line(capsys)
        assert code == 0 or "the result of run 1 is not in it" in line


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["session"], 2, "required: FILE.mscope"),
        (["session", "nowhere.mscope"], 1, "nowhere.mscope: there is no such file"),
        (["session", "README.md"], 1, "README.md: it is not a Mechanoscope session"),
        (["export", "a.mscope", "1"], 2, "required: --out"),
        (["export", "a.mscope", "one", "--out", "OUT.py"], 2, "invalid int value: 'one'"),
        (["export", "a.mscope", "1", "--as", "pdf", "--out", "OUT.py"], 2, "invalid choice"),
        (["export", "SESSION", "9", "--out", "OUT.py"], 1, "run 9 is not readable: there is no"),
        (["export", "SESSION", "1", "--out", "no/out.py"], 2, "its folder does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: list[str], code: int, message: str, session: Path, tmp_path: Path, capsys: Captured
) -> None:
    places = {"SESSION": str(session), "OUT.py": str(tmp_path / "out.py")}
    assert cli.main([places.get(word, word) for word in words]) == code
    assert message in _line(capsys)
    assert not (tmp_path / "out.py").exists()


def test_the_command_records_the_digest_of_the_weights(session: Path, folder: str) -> None:
    with Session.open(session) as file:
        run = file.load(1)
    assert run.model is not None
    assert run.model.digest == weights_digest(open_model(folder))
    assert "weights_digest(model)" in to_script(run)


def test_the_number_of_the_run_is_told(session: Path, folder: str, capsys: Captured) -> None:
    words = ["run", "LogitLens", "--model", folder, *PROMPT, "--session", str(session)]
    assert cli.main(words) == 0
    assert f"{session} as run 2: " in _line(capsys)


def test_a_session_is_never_written_over(session: Path, folder: str, capsys: Captured) -> None:
    """Nor is one whose name does not say that it is one."""
    other = session.with_name("years.npz")
    shutil.copy(session, other)
    before = other.read_bytes()
    run = ["run", "LogitLens", "--model", folder, *PROMPT]
    for words in (
        [*run, "--out", str(other)],
        ["export", str(session), "1", "--out", str(other)],
        ["cache", "--model", folder, "--tokens", "1", "--out", str(other)],
    ):
        assert cli.main(words) == 2
        assert "it is a session with its runs: name another file" in _line(capsys)
    assert other.read_bytes() == before
    fresh = str(session.with_name("fresh.npz"))
    assert cli.main([*run, "--out", fresh, "--session", fresh]) == 2
    assert "--out and --session name the same file" in _line(capsys)


def test_a_run_that_the_session_refuses_is_in_another(
    session: Path, folder: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Session.add

    def add(file: Session, run: Run, keep_large: bool = False) -> int:
        if file.path == session:
            raise FileError(session, "the disk is full: free some space, then save again")
        return real(file, run, keep_large)

    monkeypatch.setattr(Session, "add", add)
    monkeypatch.setattr(tempfile, "tempdir", str(session.parent))
    words = ["run", "LogitLens", "--model", folder, *PROMPT, "--session", str(session)]
    assert cli.main(words) == 1
    line = _line(capsys)
    assert "the disk is full" in line
    spare = Path(line.split("the run is in ")[1].removesuffix(" instead\n"))
    with Session.open(spare) as file:
        assert file.load(1).result is not None


def test_the_exported_command_gives_the_same_arrays(
    session: Path, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for how in ("sh", "npz"):
        assert cli.main(["export", str(session), "1", "--out", f"out.{how}"]) == 0
    line = Path("out.sh").read_text()
    assert line.endswith("\n")
    assert cli.main(shlex.split(line)[1:]) == 0
    with np.load("LogitLens.npz") as again, np.load("out.npz") as stored:
        np.testing.assert_array_equal(again["kl"], stored["kl"])


def test_a_result_is_a_table_where_the_name_says_so(
    folder: str, tmp_path: Path, capsys: Captured
) -> None:
    words = ["run", "LogitLens", "--model", folder, *PROMPT, "--out"]
    assert cli.main([*words, str(tmp_path / "out.csv")]) == 0
    assert "field,layer,pos,k,watch,sentence,value\n" in (tmp_path / "out.csv").read_text()
    capsys.readouterr()
    for name in ("out.json", "out"):
        assert cli.main([*words, str(tmp_path / name)]) == 2
        assert "let it end in .npz, or in .csv for a table" in _line(capsys)
