"""The first lines of the packaged program: `mechanoscope`, its commands, and its sweeps' processes.

A process of a sweep is this same program started again; `freeze_support` turns it into one before
anything else is imported.
"""

import multiprocessing
import os
import sys


def leave_others_alone() -> None:
    """A file manager that we open must find its own libraries: what led us to ours is taken back.

    The loader read it when this process began; a process of ours is given it anew.
    """
    before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    if before is not None:
        os.environ["LD_LIBRARY_PATH"] = before
    else:
        os.environ.pop("LD_LIBRARY_PATH", None)
    os.environ["PYINSTALLER_RESET_ENVIRONMENT"] = "1"  # else it would think it was given already


def lead_qt_to_its_plugins() -> None:
    """Said before Qt is there, so that a command that needs none does not import it for this."""
    home = os.path.join(getattr(sys, "_MEIPASS", ""), "PySide6")
    inner = os.path.join(home, "Qt", "plugins")
    os.environ["QT_PLUGIN_PATH"] = inner if os.path.isdir(inner) else os.path.join(home, "plugins")


if __name__ == "__main__":
    multiprocessing.freeze_support()
    leave_others_alone()
    lead_qt_to_its_plugins()
    mute = sys.stderr is None  # a Windows program without a console
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    from engine.cli import COMMANDS, main

    words = sys.argv[1:]
    if mute and words and not words[0].startswith("-") and words[0] not in COMMANDS:
        words.insert(0, "--window")  # which says there what is wrong with a path
    sys.exit(main(words))
