"""The program as a file: how it starts again, how it runs a script."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine import cli, program


def test_the_program_can_start_itself_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*program.command(), "--version"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mechanoscope ")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert program.frozen()
    assert program.command() == [sys.executable]


def test_a_command_names_the_file_where_the_name_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert program.spoken() == "mechanoscope"
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "mechanoscope.exe"))
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert program.spoken() == str(tmp_path / "mechanoscope.exe")
    (tmp_path / "mechanoscope-cli.exe").touch()
    assert program.spoken() == str(tmp_path / "mechanoscope-cli.exe")


def test_a_script_runs_as_python_would_run_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a script.py"
    file.write_text(
        "import sys\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv[1:], __file__ == sys.argv[0])\n"
        "    sys.exit({'a': 3, 'b': 'no', 'c': None}[sys.argv[1]])\n"
    )
    before = sys.argv
    for word, code in (("a", 3), ("b", 1), ("c", 0)):
        assert cli.main(["script", str(file), word, "--out", "x"]) == code
        said = capsys.readouterr()
        assert said.out == f"['{word}', '--out', 'x'] True\n"
        assert said.err == ("no\n" if word == "b" else "")
    assert cli.main(["script", str(file), "d"]) == 1
    assert "KeyError: 'd'" in capsys.readouterr().err
    assert sys.argv is before
    file.write_text("from engine.errors import RunError\nraise RunError('the loss is NaN')\n")
    assert cli.main(["script", str(file)]) == 1
    assert capsys.readouterr().err == "mechanoscope: the loss is NaN\n"
    assert cli.main(["script", str(tmp_path / "none.py")]) == 2
    assert "there is no file" in capsys.readouterr().err
