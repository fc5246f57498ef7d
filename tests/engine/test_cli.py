"""The command line: exit codes, one clear line, no Qt, the same arrays as the library."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest

from engine import cli, headless, technique
from engine.errors import RunError
from engine.model import open_model
from engine.technique import SpecError, Technique, Update, array, describe, param


@dataclass(frozen=True)
class _TallyResult:
    tally: npt.NDArray[np.float64] = array("step", "how often")


@dataclass(frozen=True, kw_only=True)
class _Tally(Technique):
    """Counts, and ends in the way it is told to."""

    Result: ClassVar[type] = _TallyResult
    title: ClassVar[str] = "Tally"
    summary: ClassVar[str] = "Counts"
    needs: ClassVar[tuple[str, ...]] = ()
    n: int = param(3, "steps", low=1, high=9)
    end: str = param("well", "how it ends", choices=("well", "run", "spec", "bug", "ctrl-c"))
    text: str = param("", "any text")
    pace: float = param(1.0, "what is counted", low=1.0, live=True)

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        endings = {
            "run": RunError("loss is NaN\nat step 2"),
            "spec": SpecError("n", "is too many here"),
            "bug": KeyError("a bug"),
        }
        spec, tally = self, []
        for step in range(1, self.n + 1):
            if step == 2 and self.end in endings:
                raise endings[self.end]
            if step == 2 and self.end == "ctrl-c":
                signal.raise_signal(signal.SIGINT)
                while True:  # until Stop arrives
                    yield Update(1, self.n, lambda: _TallyResult(np.arange(1.0)))
            tally.append(spec.pace * (step - 1))
            change = yield Update(step, self.n, lambda: _TallyResult(np.array(tally)))
            spec = change or spec


@pytest.fixture(autouse=True)
def _kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(technique._KINDS, "_Tally", _Tally)


@pytest.fixture(scope="module")
def folder(data: Path) -> str:
    return str(data / "families" / "gpt2-tied")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.npz"


Captured = pytest.CaptureFixture[str]


def _line(capsys: Captured) -> str:
    """The one line on stderr; nothing on stdout."""
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    return said.err


def test_techniques_are_listed(capsys: Captured) -> None:
    assert cli.main(["techniques"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(technique.kinds())


def test_describe_prints_json(capsys: Captured) -> None:
    assert cli.main(["describe", "LogitLens"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(describe("LogitLens")))


def test_run_writes_the_arrays_and_the_spec(out: Path, folder: str) -> None:
    words = ["run", "LogitLens", "--model", folder, "--set", "prompt=[1, 2, 3]", "--set", "top_k=2"]
    assert cli.main([*words, "--out", str(out)]) == 0
    spec = technique.of("LogitLens")(prompt=(1, 2, 3), top_k=2)
    expected = spec.run(open_model(folder))
    with np.load(out) as stored:
        np.testing.assert_array_equal(stored["kl"], expected.kl)
        assert technique.from_json(json.loads(str(stored["spec"]))) == spec
        made = json.loads(str(stored["provenance"]))
    assert made["status"] == "finished"
    assert made["model"]["folder"] == str(Path(folder).resolve())
    assert made["blas_threads"] >= 1


def test_set_wins_over_the_spec_file(out: Path, tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({"kind": "_Tally", "version": 1, "n": 5, "text": "file"}))
    words = ["run", "_Tally", "--spec", str(file), "--set", "text=7", "--out", str(out)]
    assert cli.main(words) == 0
    with np.load(out) as stored:
        assert len(stored["tally"]) == 5
        assert json.loads(str(stored["spec"]))["text"] == "7"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "there is no command, folder or file 'nonsense'"),
        (["inspct"], "did you mean inspect?"),
        (["--nonsense"], "required: COMMAND"),
        (["run"], "required: KIND"),
        (["run", "_Tally"], "say where the result goes: --out FILE.npz, --session FILE.mscope"),
        (["run", "_Taly", "--out", "OUT"], "no technique is called '_Taly'; did you mean _Tally?"),
        (["run", "_Tally", "--set", "n", "--out", "OUT"], "--set n: write it as field=value"),
        (["run", "_Tally", "--set", "m=1", "--out", "OUT"], "m: _Tally has no such field"),
        (["run", "_Tally", "--set", "n=ten", "--out", "OUT"], "n: 'ten' is not integer"),
        (["run", "_Tally", "--set", "n=10", "--out", "OUT"], "n: 10 is above 9"),
        (["run", "_Tally", "--spec", "no.json", "--out", "OUT"], "--spec no.json is not readable"),
        (["run", "_Tally", "--out", "no/out.npz"], "--out no/out.npz: its folder does not exist"),
        (["run", "_Tally", "--model", ".", "--out", "OUT"], "reads no model"),
        (["run", "LogitLens", "--out", "OUT"], "LogitLens reads a model: add --model FOLDER"),
        (["run", "_Tally", "--set", "end=spec", "--out", "OUT"], "n: is too many here"),
        (["run", "_Tally", "--change", "1:n", "--out", "OUT"], "step:field=value"),
        (["run", "_Tally", "--change", "1:n=2", "--out", "OUT"], "n: cannot change while"),
        (["run", "_Tally", "--change", "1:pace=0", "--out", "OUT"], "pace: 0.0 is below 1"),
        (["run", "_Tally", "--intervene", "1", "--out", "OUT"], "--intervene: 1 is no JSON object"),
        (["run", "_Tally", "--intervene", '{"name": "a"}', "--out", "OUT"], "no interventions"),
        (["run", "_Tally", "--session", "no/a.mscope"], "--session no/a.mscope: its folder does"),
        (["run", "_Tally", "--session", "README.md"], "it is not a Mechanoscope session"),
        (["describe", "Lens"], "no technique is called 'Lens'"),
        (["cache", "--model", ".", "--out", "OUT"], "one of the arguments --prompt --tokens"),
        (["cache", "--model", ".", "--tokens", "1,x", "--out", "OUT"], "write ids as 1,2,3"),
        (
            ["cache", "--model", ".", "--tokens", "1", "--bos", "yes", "--out", "OUT"],
            "--bos goes with --prompt",
        ),
        (["inspect"], "required: FOLDER"),
        (["tour"], "required: --out"),
    ],
)
def test_wrong_arguments_are_named_with_exit_code_2(
    words: list[str], message: str, out: Path, capsys: Captured
) -> None:
    assert cli.main([str(out) if word == "OUT" else word for word in words]) == 2
    assert message in _line(capsys)


def test_changes_are_made_at_their_steps(out: Path, capsys: Captured) -> None:
    words = ["run", "_Tally", "--change", "2:pace=5", "--change", "1:pace=3", "--out", str(out)]
    assert cli.main(words) == 0
    with np.load(out) as stored:
        assert stored["tally"].tolist() == [0.0, 3.0, 10.0]
        changes = json.loads(str(stored["provenance"]))["changes"]
    assert changes == [[1, {"pace": 3.0}], [2, {"pace": 5.0}]]
    capsys.readouterr()
    assert cli.main(["run", "_Tally", "--change", "7:pace=5", "--out", str(out)]) == 1
    assert "no update had step 7, so its change was never made" in _line(capsys)


def test_an_intervention_that_the_model_does_not_have_is_a_wrong_argument(
    folder: str, out: Path, capsys: Captured
) -> None:
    words = ["run", "LogitLens", "--model", folder, "--set", "prompt=[1]", "--out", str(out)]
    assert cli.main([*words, "--intervene", '{"name": "blocks.9.hook_attn_out"}']) == 2
    assert "blocks.9.hook_attn_out: there is no such hook" in _line(capsys)


@pytest.mark.parametrize("text", ["[1]", "{", '{"kind": "LogitLens"}', '{"n": 2, "m": 3}'])
def test_a_spec_file_that_does_not_fit_is_a_wrong_argument(
    text: str, out: Path, tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "spec.json"
    file.write_text(text)
    assert cli.main(["run", "_Tally", "--spec", str(file), "--out", str(out)]) == 2
    assert _line(capsys)
    assert not out.exists()


@pytest.mark.parametrize("end", ["run", "spec", "bug"])
def test_a_failed_run_says_why_and_keeps_what_it_has(end: str, out: Path, capsys: Captured) -> None:
    words = ["run", "_Tally", "--set", f"end={end}", "--out", str(out)]
    assert cli.main(words) == (2 if end == "spec" else 1)
    line = _line(capsys)
    assert {"run": "loss is NaN at step 2", "spec": "too many", "bug": "KeyError: 'a bug'"}[
        end
    ] in line
    assert f"what was computed until then is in {out}" in line
    with np.load(out) as stored:
        assert len(stored["tally"]) == 1
        assert json.loads(str(stored["provenance"]))["status"] == "failed"


@pytest.mark.skipif(sys.platform == "win32", reason="a signal raised in a thread ends the process")
def test_ctrl_c_stops_and_keeps_what_is_there(out: Path, capsys: Captured) -> None:
    assert cli.main(["run", "_Tally", "--set", "end=ctrl-c", "--out", str(out)]) == 1
    assert _line(capsys) == (f"mechanoscope: stopped; what was computed until then is in {out}\n")
    with np.load(out) as stored:
        assert json.loads(str(stored["provenance"]))["status"] == "cancelled"


def test_the_traceback_of_a_bug_goes_to_a_log(
    out: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run", "_Tally", "--set", "end=bug", "--out", str(out)]
    assert cli.main(words) == 1
    log = Path(_line(capsys).split("the traceback is in ")[1].split(";")[0].strip())
    assert "KeyError: 'a bug'" in log.read_text(encoding="utf-8")
    monkeypatch.setenv("MECHANOSCOPE_DEBUG", "1")
    assert cli.main(words) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_unreadable_model_is_exit_code_1(tmp_path: Path, out: Path, capsys: Captured) -> None:
    for words in (
        ["inspect", str(tmp_path)],
        ["run", "LogitLens", "--model", str(tmp_path), "--out", str(out)],
        ["cache", "--model", str(tmp_path), "--tokens", "1", "--out", str(out)],
    ):
        assert cli.main(words) == 1
        assert str(tmp_path) in _line(capsys)


def test_cache_writes_activations_without_the_batch_axis(out: Path, folder: str) -> None:
    words = ["cache", "--model", folder, "--tokens", "1,2,3", "--out", str(out)]
    assert cli.main([*words, "--names", "blocks.*.attn.hook_pattern"]) == 0
    run = open_model(folder).forward([1, 2, 3], names="all")
    with np.load(out) as stored:
        names = [name for name in run.cache if name.endswith("hook_pattern")]
        assert set(stored) == {"tokens", "logits", *names}
        assert stored["tokens"].tolist() == [1, 2, 3]
        np.testing.assert_array_equal(stored["logits"], run.logits[0])
        for name in names:
            np.testing.assert_array_equal(stored[name], run.cache[name][0])
    assert cli.main(words) == 0
    with np.load(out) as stored:
        assert set(run.cache) <= set(stored)


def test_cache_writes_head_results_for_who_names_them(out: Path, folder: str) -> None:
    name = "blocks.0.attn.hook_result"
    asked = ["cache", "--model", folder, "--tokens", "1,2,3", "--names", name]
    assert cli.main([*asked, "--out", str(out)]) == 0
    with np.load(out) as file:
        truth = open_model(folder).forward([1, 2, 3], names=[name]).cache[name][0]
        assert set(file) == {"tokens", "logits", name}
        assert np.array_equal(file[name], truth)


def test_a_pattern_that_matches_no_hook_names_close_ones(
    out: Path, folder: str, capsys: Captured
) -> None:
    words = ["cache", "--model", folder, "--tokens", "1", "--out", str(out)]
    assert cli.main([*words, "--names", "blocks.0.attn.hook_patern"]) == 2
    assert "close ones: blocks.0.attn.hook_pattern" in _line(capsys)
    assert not out.exists()


def test_bos_follows_the_tokenizer_unless_it_is_said(shared_models: Path, out: Path) -> None:
    model = str(shared_models / "stories260k")
    lengths = []
    for bos in ([], ["--bos", "yes"], ["--bos", "no"]):
        words = ["cache", "--model", model, "--prompt", "Once upon", "--names", "hook_embed"]
        assert cli.main([*words, *bos, "--out", str(out)]) == 0
        with np.load(out) as stored:
            lengths.append(len(stored["tokens"]))
    assert lengths[0] == lengths[1] == lengths[2] + 1


def test_inspect_tells_of_a_model_as_text_and_as_json(folder: str, capsys: Captured) -> None:
    assert cli.main(["inspect", folder]) == 0
    text = capsys.readouterr().out
    assert "self-check   passed" in text
    assert cli.main(["inspect", folder, "--json"]) == 0

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    about = json.loads(capsys.readouterr().out, parse_constant=refuse)
    model = open_model(folder)
    assert about["parameters"] == model.n_params
    assert f"{model.n_params:,}" in text
    assert about["config"]["n_layers"] == model.config.n_layers
    assert about["memory_bytes"] > 0
    assert about["self_check"]["passed"] is True
    assert len(about["self_check"]["checks"]) >= 6


def test_a_model_that_fails_its_self_check_is_exit_code_1(
    folder: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = headless.about_model(folder)
    about["self_check"] |= {"passed": False, "summary": "the gradient is off"}
    monkeypatch.setattr(headless, "about_model", lambda _: about)
    assert cli.main(["inspect", folder]) == 1
    assert "the self-check failed: the gradient is off" in capsys.readouterr().err


def test_a_folder_or_session_opens_the_window(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    opened: list[list[str]] = []
    window = SimpleNamespace(main=lambda argv: opened.append(argv) or 0)
    monkeypatch.setitem(sys.modules, "gui.app", window)
    session = tmp_path / "a.mscope"
    session.touch()
    assert cli.main([]) == 0
    assert cli.main([folder]) == 0
    assert cli.main([str(session)]) == 0
    assert opened == [[], [folder], [str(session)]]
    assert cli.main(["--new-window", "nothing here"]) == 0
    assert opened.pop() == ["--new-window", "nothing here"]  # it is said in the window
    assert cli.main([folder, folder]) == 2
    assert "give one folder or one session file" in _line(capsys)


def test_the_tour_is_handed_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gui.tour", SimpleNamespace(main=lambda out: len(out)))
    assert cli.main(["tour", "--out", "abc"]) == 3


def test_help_and_version_are_exit_code_0(capsys: Captured) -> None:
    for words in (["--help"], ["--version"], ["run", "--help"]):
        assert cli.main(words) == 0
        assert "mechanoscope" in capsys.readouterr().out


def test_subcommands_never_import_qt(project: Path, folder: str, out: Path) -> None:
    commands = [
        ["techniques"],
        ["describe", "LogitLens"],
        ["run", "LogitLens", "--model", folder, "--set", "prompt=[1, 2]", "--out", str(out)],
        ["cache", "--model", folder, "--tokens", "1,2", "--out", str(out)],
        ["inspect", folder],
    ]
    code = (
        "import sys\n"
        "from engine import cli\n"
        f"assert [cli.main(words) for words in {commands!r}] == [0] * {len(commands)}\n"
        "qt = [name for name in sys.modules if name.split('.')[0] in ('PySide6', 'gui')]\n"
        "assert not qt, qt\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_list_of_techniques_opens_no_tokenizer(project: Path) -> None:
    code = (
        "import sys\nfrom engine import cli\ncli.main(['techniques'])\n"
        "assert not {'tokenizers', 'safetensors', 'sqlite3'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_copied_folder_is_read_like_the_first(folder: str, tmp_path: Path, out: Path) -> None:
    copy = tmp_path / "a model"
    shutil.copytree(folder, copy)
    assert cli.main(["cache", "--model", str(copy), "--tokens", "1", "--out", str(out)]) == 0


def test_a_mistyped_list_of_ids_is_refused_not_read_as_text(data, tmp_path, capsys) -> None:
    folder = str(data / "families" / "gpt2-tied")
    words = ["run", "LogitLens", "--model", folder, "--set", "prompt=[1, 2.5]"]
    assert cli.main([*words, "--out", str(tmp_path / "out.npz")]) == 2
    assert "prompt" in capsys.readouterr().err
