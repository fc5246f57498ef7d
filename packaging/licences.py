"""Collect the licences of everything in the packaged program: one folder per part, one index.

    python packaging/licences.py --check

prints the table for the present environment and fails where a part has no text. The build calls
`collect`; the program's About box shows what it wrote (engine/licences.py reads it).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from engine import licences
from engine.licences import TEXTS, Part
from engine.versions import LIBRARIES

ROOT = Path(__file__).resolve().parent.parent
WINDOW = ("pyqtgraph", "PySide6_Essentials")  # what the window asks for beyond the engine
COMMON = Path("/usr/share/common-licenses")  # Debian's copyright files refer to texts here
BLOCK = re.compile(r"^Name: (.+)\n(?:\w+: .*\n)*?License: (.+)\n", re.MULTILINE)
CRATES = {"MIT": "MIT.txt", "BSD-2-Clause": "BSD-2-Clause.txt", "Zlib": "Zlib.txt"}
LIBRARY = {
    "e2fsprogs": "",
    "keyutils": "LGPL-2+",
    "libxcb": "MIT",
    "libxkbcommon": "MIT",
    "util-linux": "BSD-3-clause",
    "xz-utils": "public-domain",
}
"""Sources whose copyright files do not say in one line what their libraries' licence is."""
STARTER = "GPL-2.0-or-later WITH Bootloader-exception"
LEFT_OUT = ("huggingface_hub",)  # tokenizers asks for it, and the packaged program never does
CRATES_HEAD = """Compiled into {name} {version}: libraries written in Rust
(name, version, licence and authors as the wheel lists them; where a licence offers a choice that
names Apache-2.0, the part is taken under that one)
"""


class NoText(Exception):
    """A part would travel without the text that says under which terms."""


def collect(
    distributions: Iterable[str], target: Path, libraries: Iterable[Path] = ()
) -> list[Part]:
    """Write the texts of everything below `target`; the parts, as its index names them.

    distributions: what of the environment is in the bundle. libraries: files of the build machine
    that are, too. NoText names the part that has none.
    """
    with tempfile.TemporaryDirectory() as made:
        found = [*gathered(distributions, Path(made)), *of_system(libraries, Path(made))]
        parts = sorted(found, key=licences.place)
        without = [f"{part.name} {part.version}".strip() for part in parts if not part.files]
        if without:
            raise NoText(
                f"no licence text was found for: {', '.join(without)}. Put it into "
                "packaging/licences/ and name it in engine/licences.py (WITHOUT)"
            )
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        written = [_write(part, target) for part in parts]
    index = json.dumps([asdict(part) for part in written], indent=1, ensure_ascii=False)
    (target / licences.INDEX).write_text(index + "\n", encoding="utf-8")
    return written


def gathered(distributions: Iterable[str], made: Path) -> Iterator[Part]:
    """Ours, Python, fonts, icons, and each distribution with what its wheel brings along."""
    yield licences.ours()
    yield from licences.carried(ROOT / "resources")
    yield licences.python()
    names = {licences.normal(name): name for name in distributions}
    names.pop("mechanoscope", None)
    with suppress(metadata.PackageNotFoundError):  # the program's first lines are PyInstaller's
        names["pyinstaller"] = metadata.distribution("pyinstaller").metadata["Name"]
    blocks: dict[tuple[str, str], Part] = {}
    for normal, name in sorted(names.items()):
        part = licences.distribution(name)
        if normal == "pyinstaller":
            part = replace(part, licence=STARTER, note="what starts the packaged program")
        yield replace(part, files=(*part.files, *_crates(part, made)))
        for block in _blocks(part, made):
            blocks.setdefault((block.name, block.licence), block)
        if normal == "pyside6-essentials":
            yield from _icu(name)
    yield from blocks.values()


def _blocks(part: Part, made: Path) -> Iterator[Part]:
    """What a wheel bundles and tells at the end of its licence: `Name: OpenBLAS`, and so on."""
    for file in part.files:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
        starts = list(BLOCK.finditer(text))
        for at, found in enumerate(starts):
            end = starts[at + 1].start() if at + 1 < len(starts) else len(text)
            whole = text[found.start() : end].strip()  # the texts it refers to follow it
            name = found[1].strip()
            own = made / f"{part.name}-{at}" / f"{_word(name)}.txt"
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_text(whole + "\n", encoding="utf-8")
            note = f"bundled with {part.name}"
            terms, files = found[2].strip(), [str(own)]
            files += [str(TEXTS / "LGPL-2.1.txt")] if terms.startswith("LGPL-2.1") else []
            yield Part(name=name, version="", licence=terms, files=tuple(files), note=note)


def _crates(part: Part, made: Path) -> list[str]:
    """The libraries that a wheel's list (CycloneDX) says are compiled into it, with their terms."""
    lists = [
        Path(str(file.locate()))
        for file in metadata.distribution(part.name).files or ()
        if file.name.endswith(".cyclonedx.json")
    ]
    rows: list[Any] = []
    for file in lists:
        rows += json.loads(file.read_bytes()).get("components", [])
    if not rows:
        return []
    lines, wanted = [CRATES_HEAD.format(name=part.name, version=part.version)], {"Apache-2.0.txt"}
    for row in sorted(rows, key=lambda row: row["name"]):
        terms = [entry.get("expression") or "" for entry in row.get("licenses", ())]
        if not any(terms):
            raise NoText(f"{part.name}: its list names no licence of {row['name']}")
        said = " AND ".join(terms)
        lines.append(
            f"{row['name']} {row['version']}: {said}; {row.get('author', '')}".rstrip("; ")
        )
        if "Apache-2.0" not in said:
            wanted |= {text for term, text in CRATES.items() if term in said}
            if not any(term in said for term in CRATES):
                raise NoText(f"{part.name}: no text is here for {row['name']} ({said})")
    own = made / licences.normal(part.name) / "compiled-in.txt"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("\n".join(lines) + "\n", encoding="utf-8")
    texts = [TEXTS / "rust" / name for name in sorted(wanted - {"Apache-2.0.txt"})]
    if not any(Path(file).name == "Apache-2.0.txt" for file in part.files):
        texts.insert(0, TEXTS / "Apache-2.0.txt")
    if any(row["name"] == "onig_sys" for row in rows):  # a library in C inside that one
        texts.append(TEXTS / "oniguruma.txt")
    return [str(own), *map(str, texts)]


def _icu(pyside: str) -> Iterator[Part]:
    """On Linux Qt's wheel brings ICU."""
    for file in metadata.distribution(pyside).files or ():
        if found := re.fullmatch(r"libicuuc\.so\.(\d+)", file.name):
            yield Part(
                name="ICU",
                version=found[1],
                licence="Unicode-DFS-2016",
                files=(str(TEXTS / "icu.txt"),),
                note="bundled with PySide6_Essentials",
            )


# --- the build machine's own libraries ------------------------------------------------------------


def of_system(libraries: Iterable[Path], made: Path) -> Iterator[Part]:
    """One part per source package of Debian's; what Python brings is Python's."""
    packages: dict[str, list[str]] = {}
    prefix = Path(sys.base_prefix).resolve()
    for library in libraries:
        if library.resolve().is_relative_to(prefix) and prefix != Path("/usr"):
            continue
        package = package_of(library)
        if package is None:
            raise NoText(
                f"{library} belongs to no package of this system, so its licence is not known; "
                "leave it out of the bundle, or build where dpkg knows it"
            )
        _, source, version = _query(package)
        packages.setdefault(f"{source} {version}", []).append(package)
    for about, names in sorted(packages.items()):
        source, _, version = about.partition(" ")
        yield _of_package(source, version, sorted(set(names)), made)


def package_of(library: Path) -> str | None:
    """The Debian package that has a file. It may be noted with /usr or without, and by its link."""
    for spelled in dict.fromkeys((str(library), str(library.resolve()))):
        bare = spelled.removeprefix("/usr")
        for tried in (spelled, f"/usr{bare}", bare):
            try:
                told = subprocess.run(
                    ["dpkg", "-S", tried], capture_output=True, text=True, check=False
                )
            except FileNotFoundError:
                return None
            if told.returncode == 0:
                return told.stdout.splitlines()[0].partition(": ")[0].split(",")[0]
    return None


def _query(package: str) -> tuple[str, str, str]:
    """Its name, the source it was made from, and the source's version upstream."""
    form = "${Package}\t${source:Package}\t${source:Upstream-Version}"
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", form, package], capture_output=True, text=True, check=True
    )
    name, source, version = told.stdout.split("\t")
    return name, source, version


def _of_package(source: str, version: str, packages: list[str], made: Path) -> Part:
    """Its copyright file, and the common texts which that refers to."""
    files: list[str] = []
    texts: dict[str, None] = {}
    for package in packages:
        file = Path("/usr/share/doc") / package.split(":")[0] / "copyright"
        if file.is_file():
            texts.setdefault(file.read_text(encoding="utf-8", errors="replace"))
    for number, text in enumerate(texts):
        own = made / "system" / source / f"copyright{number or ''}.txt"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(text, encoding="utf-8")
        files.append(str(own))
    whole = "\n".join(texts)
    for name in sorted(set(re.findall(rf"{COMMON}/([A-Za-z0-9.-]*[A-Za-z0-9])", whole))):
        if (COMMON / name).is_file():
            own = made / "system" / source / f"{name}.txt"
            shutil.copyfile(COMMON / name, own)
            files.append(str(own))
    stars = re.search(r"^Files: \*\n(?:.+\n)*?License: *(.+)$", whole, re.MULTILINE)
    note = f"a library of the system it was built on ({', '.join(packages)})"
    licence = LIBRARY.get(source, stars[1].strip() if stars else "")
    return Part(name=source, version=version, licence=licence, files=tuple(files), note=note)


# --- writing --------------------------------------------------------------------------------------


def _write(part: Part, target: Path) -> Part:
    """Copy a part's texts into a folder of its own; the part with names from `target`."""
    stem = _word(part.name)
    folder, number = target / stem, 1
    while folder.exists():
        number += 1
        folder = target / f"{stem}-{number}"
    folder.mkdir()
    names: list[str] = []
    for file, (name, text) in zip(part.files, part.texts(), strict=True):
        own = folder / name
        while own.exists():  # NumPy has ten of one name
            own = folder / f"{Path(file).parent.name}-{own.name}"
        own.write_text(text, encoding="utf-8")
        names.append(own.relative_to(target).as_posix())
    return replace(part, files=tuple(names))


def _word(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-").lower()


def main(argv: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The licences of what the program is made of.")
    parser.add_argument("--check", action="store_true", required=True, help="print the table")
    parser.parse_args(None if argv is None else list(argv))
    with tempfile.TemporaryDirectory() as folder:
        try:
            parts = collect(
                licences.closure([*LIBRARIES, *WINDOW], LEFT_OUT), Path(folder) / "licences"
            )
        except NoText as error:
            print(f"licences.py: {error}", file=sys.stderr)
            return 1
    for part in parts:
        licence = part.licence or "see its text"
        print(f"{part.name:28} {part.version:12} {licence:46} {len(part.files)} texts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
