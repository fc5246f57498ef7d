"""Inputs by the digest of their bytes: found again, missed by name, never taken for another."""

import hashlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from engine import refs, technique
from engine.errors import Cancelled, FileError, RunError
from engine.refs import MissingInput, Ref, locate, of_bytes, of_file, placed, refs_in
from engine.technique import Technique, array, describe, from_json, param, to_json


@dataclass(frozen=True)
class _SteeringResult:
    shift: float = array("", "what the direction did")


@dataclass(frozen=True, kw_only=True)
class _Steering(Technique):
    """What a technique with learned inputs looks like."""

    Result: ClassVar[type] = _SteeringResult
    title: ClassVar[str] = "Steering"

    direction: Ref | None = param(None, "what is added", role="direction")
    lenses: tuple[Ref, ...] = param((), "one per layer", role="lens")
    scale: float = param(1.0, "how much")


@pytest.fixture
def steering(monkeypatch: pytest.MonkeyPatch) -> type[_Steering]:
    monkeypatch.setitem(technique._KINDS, "_Steering", _Steering)
    return _Steering


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small learned dictionary as a folder of three files."""
    made = tmp_path / "sae"
    (made / "layers").mkdir(parents=True)
    (made / "config.json").write_bytes(b"{}")
    (made / "layers" / "0.bin").write_bytes(b"zero")
    (made / "layers" / "1.bin").write_bytes(b"one")
    return made


def link(place: Path, target: Path) -> None:
    try:
        place.symlink_to(target)
    except OSError:
        pytest.skip("links need a right that this system does not give")


def test_a_reference_is_the_sha_of_the_bytes_whatever_holds_them(tmp_path: Path) -> None:
    (tmp_path / "truth.npz").write_bytes(b"numbers")
    on_disk = of_file("direction", tmp_path / "truth.npz")
    assert on_disk.digest == hashlib.sha256(b"numbers").hexdigest()
    assert on_disk == of_bytes("direction", b"numbers"), "a place is no part of what it is"
    assert hash(on_disk) == hash(of_bytes("direction", b"numbers"))
    assert on_disk != of_bytes("sae", b"numbers")
    assert locate(on_disk) == tmp_path / "truth.npz"


def test_a_relative_path_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "truth.npz").write_bytes(b"numbers")
    monkeypatch.chdir(tmp_path)
    assert of_file("direction", "truth.npz").where == str(tmp_path / "truth.npz")


def test_the_digest_of_a_folder_is_that_of_its_names_and_bytes(
    folder: Path, tmp_path: Path
) -> None:
    first = of_file("sae", folder)
    stream = b"folder\0config.json\x002\0{}layers/0.bin\x004\0zerolayers/1.bin\x003\0one"
    assert first.digest == hashlib.sha256(stream).hexdigest(), "every release must find the same"
    other = tmp_path / "copied in another order"
    (other / "layers").mkdir(parents=True)
    for name in ("layers/1.bin", "layers/0.bin", "config.json"):
        shutil.copyfile(folder / name, other / name)
        os.utime(other / name, (1, 1))
    (other / ".DS_Store").write_bytes(b"where the icons are")
    (other / "empty").mkdir()
    assert of_file("sae", other) == first


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "layers" / "1.bin").write_bytes(b"onE"),
        lambda folder: (folder / "layers" / "1.bin").rename(folder / "layers" / "2.bin"),
        lambda folder: (folder / "layers" / "1.bin").rename(folder / "1.bin"),
        lambda folder: (folder / "layers" / "1.bin").unlink(),
        lambda folder: (folder / "more").write_bytes(b""),
        lambda folder: (
            (folder / "layers" / "0.bin").write_bytes(b"zer"),
            (folder / "layers" / "1.bin").write_bytes(b"oone"),
        ),
    ],
    ids=["a byte", "a name", "a place", "one less", "one more", "a byte handed on"],
)
def test_any_change_in_a_folder_is_another_input(folder: Path, change: Any) -> None:
    before = of_file("sae", folder)
    change(folder)
    with pytest.raises(MissingInput, match="has changed since this run: its digest is now") as told:
        locate(before)
    assert told.value.changed
    assert of_file("sae", folder).short in str(told.value)


def test_a_file_is_never_a_folder_of_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    ref = of_file("sae", folder)
    shutil.rmtree(folder)
    folder.write_bytes(b"a file now")
    with pytest.raises(MissingInput, match="has changed"):
        locate(ref)
    ref = of_file("sae", folder)
    folder.unlink()
    folder.mkdir()
    with pytest.raises(MissingInput, match="the folder holds no file") as told:
        locate(ref)
    assert not told.value.changed


def test_an_input_that_is_gone_is_asked_for_by_name(tmp_path: Path) -> None:
    ref = Ref("direction", "3f2a" + "0" * 60, str(tmp_path / "truth.npz"))
    with pytest.raises(MissingInput) as told:
        locate(ref, field="direction")
    assert str(told.value) == (
        f"the direction 'truth.npz' (sha 3f2a0000…) is not at {tmp_path / 'truth.npz'}: "
        "say where it is now"
    )
    assert isinstance(told.value, RunError)
    assert (told.value.ref, told.value.changed, told.value.field) == (ref, False, "direction")


def test_an_input_without_a_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"the lens \(sha 3f2a0000…\) is in no file"):
        locate(Ref("lens", "3f2a" + "0" * 60))
    with pytest.raises(MissingInput, match="is not at"):
        locate(Ref("lens", "3f2a" + "0" * 60, "a\0b"))


def test_the_way_into_an_unreadable_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "truth.npz").write_bytes(b"numbers")
    ref = of_file("direction", tmp_path / "truth.npz")

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MissingInput, match=r"cannot be read \(permission denied\): mend that"):
        locate(ref)
    with pytest.raises(FileError, match="permission denied"):
        of_file("direction", tmp_path / "truth.npz")


def test_what_is_not_there_or_no_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.npz: no such file"):
        of_file("direction", tmp_path / "gone.npz")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileError, match="not an ordinary file"):
            of_file("direction", tmp_path / "pipe")


def test_a_folder_of_links_has_the_digest_of_their_bytes(folder: Path, tmp_path: Path) -> None:
    """A snapshot in the Hugging Face cache: every file is a link to a blob elsewhere."""
    ref = of_file("sae", folder)
    (tmp_path / "blobs").mkdir()
    for number, file in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        blob = file.rename(tmp_path / "blobs" / str(number))
        link(file, blob)
    assert of_file("sae", folder) == ref
    blob.write_bytes(b"other bytes")
    assert of_file("sae", folder) != ref


def test_a_link_to_itself_or_to_a_device_is_refused(folder: Path) -> None:
    link(folder / "odd", folder / "odd")
    with pytest.raises(FileError, match="odd: too many levels of symbolic links"):
        of_file("sae", folder)
    (folder / "odd").unlink()
    link(folder / "odd", Path(os.devnull))
    with pytest.raises(FileError, match="odd: not an ordinary file"):
        of_file("sae", folder)


@pytest.mark.parametrize(("target", "why"), [("nowhere", "to nothing"), ("layers", "to a folder")])
def test_links_to_nothing_and_to_folders_are_refused(folder: Path, target: str, why: str) -> None:
    link(folder / "ring", folder / target)
    with pytest.raises(FileError, match=why):
        of_file("sae", folder)


def test_a_link_inside_counts_as_the_file_it_names(folder: Path) -> None:
    ref = of_file("sae", folder)
    (folder / "layers" / "1.bin").rename(folder / "layers" / "one")
    link(folder / "layers" / "1.bin", folder / "layers" / "one")
    assert of_file("sae", folder) != ref
    link(folder.parent / "door", folder)
    assert of_file("sae", folder.parent / "door") == of_file("sae", folder)


def test_reading_is_in_slabs_reports_bytes_and_can_be_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refs, "SLAB", 3)
    told: list[tuple[int, int]] = []
    whole = of_file("sae", folder, report=lambda *now: told.append(now))
    assert told == [(2, 9), (5, 9), (6, 9), (9, 9)]
    looks = 0

    def watch() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        of_file("sae", folder, watch)
    assert looks == 2
    with pytest.raises(Cancelled):
        looks = 0
        locate(whole, watch)


def test_every_reference_of_a_spec_is_found_in_order() -> None:
    one, two, three = (Ref("lens", digest * 64, f"/{digest}") for digest in "abc")
    spec = _Steering(direction=one, lenses=(two, three))
    assert spec.refs() == refs_in(spec) == (one, two, three)
    assert refs_in({"prompts, row 3": one, "more": [two, {"deep": three}], "n": 3}) == spec.refs()
    assert refs_in(_Steering()) == ()


def test_a_spec_is_placed_without_becoming_another() -> None:
    one, two = Ref("lens", "a" * 64, "/a"), Ref("lens", "b" * 64, "/b")
    spec = _Steering(direction=one, lenses=(two, one), scale=2.0)
    moved = placed(spec, {one.digest: "/new/a"})
    assert moved == spec
    assert [ref.where for ref in moved.refs()] == ["/new/a", "/b", "/new/a"]
    assert placed({"x": [one, 3]}, {one.digest: "/c"})["x"][0].where == "/c"
    assert placed(_Steering(), {one.digest: "/c"}) == _Steering()


def test_references_survive_json_and_are_described(steering: type[_Steering]) -> None:
    one = Ref("direction", "a" * 64, "/a/truth.npz")
    spec = steering(direction=one, lenses=(replace(one, kind="lens"),))
    again = from_json(to_json(spec))
    assert again == spec
    assert [ref.where for ref in again.refs()] == ["/a/truth.npz"] * 2
    types = {entry["name"]: entry["type"] for entry in describe("_Steering")["fields"]}
    assert types["direction"] == "reference or null"
    assert types["lenses"] == "list of reference"


def test_the_name_a_person_knows_comes_from_any_systems_path() -> None:
    assert Ref("sae", "ab", "C:\\saes\\layer 3\\").name == "layer 3"
    assert Ref("sae", "ab", "/saes/layer 3").name == "layer 3"
    assert Ref("sae", "ab").name == ""
