"""What the packaged program is made of: what PyInstaller leaves out, and which libraries travel."""

from __future__ import annotations

from fnmatch import fnmatch

# Modules that something mentions and that nobody here needs.
EXCLUDED = (
    # Of SciPy only sparse products are used.
    *(f"scipy.{part}" for part in (
        "cluster", "constants", "datasets", "differentiate", "fft", "fftpack", "integrate",
        "interpolate", "io", "linalg", "misc", "ndimage", "odr", "optimize", "signal",
        "sparse.csgraph", "sparse.linalg", "spatial", "special", "stats",
    )),
    # Tokenizers come from files on disk.
    "huggingface_hub", "hf_xet", "httpx", "httpx2", "httpcore2", "fsspec", "yaml", "tqdm", "click",
    # What pyqtgraph, NumPy and SciPy take where it is there. (They need pydoc and unittest.)
    "IPython", "OpenGL", "PIL", "PySide6.QtDBus", "PySide6.QtTest", "cupy", "h5py", "matplotlib",
    "numba", "pandas", "psutil", "pyqtgraph.examples", "pyqtgraph.jupyter", "pyqtgraph.opengl",
    # Peers of the benchmarks, tools, extras. Nothing of ours speaks to a network.
    "_pytest", "_ssl", "dask", "distributed", "jax", "pip", "pyright", "pytest", "readline", "ruff",
    "setuptools", "sklearn", "ssl", "tensorflow", "tkinter", "torch", "transformers",
)  # fmt: skip

# Parts of Qt that nobody asks for: displays that are no desktop's, encryption, other languages.
LEFT_OUT = (
    "*/translations/*", "*libQt6EglF*", "*libQt6Test*", "*libQt6WlShell*", "*opengl32sw.dll",
    "*/pyqtgraph/icons/peegee/*.png",
    *(f"*/plugins/{part}*" for part in (
        "egldeviceintegrations/", "generic/", "networkinformation/", "tls/", "xcbglintegrations/",
        "wayland-graphics-integration-client/", "wayland-shell-integration/libfullscreen",
        "wayland-shell-integration/libivi", "wayland-shell-integration/libqt-shell",
        "wayland-shell-integration/libwl-shell", "platformthemes/libqgtk3", "platforms/libqeglfs",
        "platforms/libqlinuxfb", "platforms/libqminimal", "platforms/libqvkkhr",
        "platforms/libqvnc",
    )),
    *(f"*/plugins/imageformats/*{kind}*" for kind in (
        "qgif", "qicns", "qjpeg", "qpdf", "qtga", "qtiff", "qwbmp", "qwebp",
    )),
)  # fmt: skip

# What PyInstaller would do before our first line, importing Qt for it, which no command of a
# terminal needs; entry.py says what is to be said.
HOOKS_LEFT_OUT = ("pyi_rth_pyqtgraph_multiprocess", "pyi_rth_pyside6")

# Linux: libraries of the machine that builds which travel along. All others (the runtimes of C and
# C++, glib, fontconfig, X11, EGL, Kerberos, without which there is only no handing over of a second
# start) belong to the system on which the program runs: deb.py finds the
# Debian package of each, or refuses.
TRAVELS = (
    "libbrotli*", "libbz2.*", "libcrypto.*", "libffi.*", "liblzma.*", "libmpdec.*",
    "libpython3*", "libsqlite3.*", "libuuid.*", "libxcb-*", "libxkbcommon*", "libz.*",
    "libzstd.*",
)  # fmt: skip


def wanted(place: str, *, of_system: bool = False) -> bool:
    """Whether a file travels that would lie at `place` in the bundle; of_system: see TRAVELS."""
    name = place.replace("\\", "/")
    if any(fnmatch(f"/{name}", pattern) for pattern in LEFT_OUT):
        return False
    if name.startswith("resources/") and (name.endswith(".py") or "/__pycache__/" in name):
        return False  # data only, not the scripts that made it
    file = name.rpartition("/")[2]
    return not of_system or any(fnmatch(file, pattern) for pattern in TRAVELS)
