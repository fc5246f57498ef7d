"""State dicts of torch: read to the bit, and nothing else in them is believed or run."""

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.errors import FileError
from engine.model import checkpoint, open_model, torch_file, torch_pickle
from engine.model.safetensors_file import READABLE, Header, map_file, read_header, view

FOLDER = Path(__file__).parents[1] / "data" / "torch"
UNTIED = Path(__file__).parents[1] / "data" / "families" / "gpt2-untied"
KINDS = ("kinds.pt", "kinds-1.6.pt", "kinds-older.pt")


def rezipped(
    target: Path, change: Callable[[str, bytes], bytes | None], method: int = zipfile.ZIP_STORED
) -> Path:
    """kinds.pt with each entry changed; None leaves one out."""
    with zipfile.ZipFile(FOLDER / "kinds.pt") as old, zipfile.ZipFile(target, "w", method) as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


def described(target: Path, description: bytes) -> Path:
    """A zip whose list of tensors is this."""
    return rezipped(target, lambda name, old: description if name.endswith("data.pkl") else old)


def refused(file: Path, *words: str) -> None:
    with pytest.raises(FileError) as caught:
        torch_file.read_header(file)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 2000


def values(header: Header) -> dict[str, np.ndarray]:
    return {
        name: view(map_file(tensor.file), tensor)
        for name, tensor in header.tensors.items()
        if tensor.dtype in READABLE
    }


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_tensor_is_what_torch_saved(name: str) -> None:
    expected = read_header(FOLDER / "values.safetensors")
    found = torch_file.read_header(FOLDER / name)
    assert found.tensors
    assert set(found.tensors) == set(expected.tensors)
    for key, tensor in found.tensors.items():
        other = expected.tensors[key]
        assert (tensor.shape, tensor.dtype) == (other.shape, other.dtype), key
    numbers = values(found)
    assert len(numbers) == 10
    for key, array in values(expected).items():
        np.testing.assert_array_equal(numbers[key], array, err_msg=key)
        assert not numbers[key].flags.writeable


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("gpt2-untied.bin", "pytorch_model.bin"),
        ("gpt2-untied.bin", "model.pt"),
        ("gpt2-untied-older.pth", "weights.pth"),
    ],
)
def test_a_folder_with_a_state_dict_opens_as_the_same_model(
    source: str, name: str, tmp_path: Path
) -> None:
    shutil.copyfile(UNTIED / "config.json", tmp_path / "config.json")
    shutil.copyfile(FOLDER / source, tmp_path / name)
    (tmp_path / "optimizer.pt").write_bytes(b"not weights")
    (tmp_path / "training_args.bin").write_bytes(b"not weights")
    plain, model = open_model(UNTIED), open_model(tmp_path)
    assert model.config == plain.config
    pairs = zip(plain.weights.named(), model.weights.named(), strict=True)
    for (key, ours), (other, theirs) in pairs:
        assert key == other
        np.testing.assert_array_equal(ours, theirs)
    assert model.n_params == plain.n_params
    assert checkpoint.peek(tmp_path / name).files == (tmp_path / name,)
    assert checkpoint.digest(checkpoint.peek(tmp_path)) != checkpoint.digest(
        checkpoint.peek(UNTIED)
    )


def test_weights_in_a_zip_are_mapped_and_not_copied(tmp_path: Path) -> None:
    shutil.copyfile(UNTIED / "config.json", tmp_path / "config.json")
    shutil.copyfile(FOLDER / "gpt2-untied.bin", tmp_path / "pytorch_model.bin")
    weights = checkpoint.load(checkpoint.peek(tmp_path))
    assert all(not array.flags.owndata for _, array in weights.named())


def test_shards_are_read_through_their_index_and_safetensors_come_first(tmp_path: Path) -> None:
    shutil.copyfile(UNTIED / "config.json", tmp_path / "config.json")
    names = sorted(torch_file.read_header(FOLDER / "gpt2-untied.bin").tensors)
    files = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
    for file in files:
        shutil.copyfile(FOLDER / "gpt2-untied.bin", tmp_path / file)
    table = {name: files[at % 2] for at, name in enumerate(names)}
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": table}))
    found = checkpoint.peek(tmp_path)
    assert [file.name for file in found.files] == list(files)
    assert {tensor.name for tensor in found.tensors} == set(names)
    index.write_text(json.dumps({"weight_map": table | {names[0]: "../out.bin"}}))
    with pytest.raises(FileError, match="no name of a file in this folder"):
        checkpoint.peek(tmp_path)
    shutil.copyfile(UNTIED / "model.safetensors", tmp_path / "model.safetensors")
    assert [file.name for file in checkpoint.peek(tmp_path).files] == ["model.safetensors"]


def test_programs_are_refused_by_name() -> None:
    refused(FOLDER / "module.pt", "torch.nn.modules.linear.Linear", "torch.save(model.state_dict()")
    refused(FOLDER / "script.pt", "TorchScript")


@pytest.mark.parametrize(
    "word",
    ["os.system", "builtins.eval", "torch.load", "torch._utils._rebuild_wrapper_subclass",
     "torch.storage._load_from_bytes", "collections.OrderedDict.fromkeys", "torch.FloatStorage.x"],
)  # fmt: skip
@pytest.mark.parametrize("new", [False, True])
def test_any_other_name_is_refused_before_anything_runs(
    word: str, new: bool, tmp_path: Path
) -> None:
    module, _, name = word.rpartition(".")
    call = f"c{module}\n{name}\n".encode()
    if new:
        texts = (b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
        call = b"".join(texts) + b"\x93"
    mark = tmp_path / "MARK"
    argument = f"touch {mark}".encode()
    program = b"\x80\x04" + call + b"\x8c" + bytes([len(argument)]) + argument + b"\x85R."
    refused(described(tmp_path / "a.pt", program), word, "may run a program")
    (tmp_path / "b.pt").write_bytes(program)
    refused(tmp_path / "b.pt", word)
    assert not mark.exists()


@pytest.mark.parametrize(
    "code", [b"i__builtin__\neval\n.", b"\x81.", b"\x92.", b"Pabc\n.", b"\x82\x01.", b"S'a'\n."]
)
def test_instructions_that_no_state_dict_needs_are_refused(code: bytes, tmp_path: Path) -> None:
    refused(described(tmp_path / "a.pt", b"\x80\x02" + code), "instruction")


def test_a_list_that_doubles_itself_without_end_is_answered_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_pickle, "MAX_STEPS", 250_000)
    laughs = b"\x80\x02]q\x00" + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(200))
    refused(described(tmp_path / "a.pt", laughs + b"."), "holds no dict of tensors but a tuple")
    deep = b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b"."
    refused(described(tmp_path / "b.pt", deep), "holds no dict of tensors")
    long = b"\x80\x02" + b"N0" * 150_000 + b"."
    refused(described(tmp_path / "c.pt", long), "more than 250,000 steps")


def _tensor(offset: int, shape: tuple[int, ...], strides: tuple[int, ...], count: int) -> bytes:
    """A state dict of one float32 tensor in storage 0, which has 12 numbers."""

    def number(value: int) -> bytes:
        return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)

    def tuple_of(items: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, items)) + b"t"

    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00"
    storage += b"cpu" + number(count) + b"tQ"
    given = b"(" + storage + number(offset) + tuple_of(shape) + tuple_of(strides) + b"\x89}t"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n" + given + b"R"
    return b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s."


def test_a_tensor_made_by_hand_is_read(tmp_path: Path) -> None:
    file = described(tmp_path / "a.pt", _tensor(2, (2, 3), (1, 4), 12))
    whole = values(torch_file.read_header(FOLDER / "kinds.pt"))["float32"].reshape(-1)
    expected = whole[2 + np.array([[0, 4, 8], [1, 5, 9]])]
    np.testing.assert_array_equal(values(torch_file.read_header(file))["a"], expected)


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "count", "word"),
    [
        (1, (3, 4), (4, 1), 12, "reaches out of its storage of 12"),
        (0, (2, 2), (9, 9), 12, "reaches out"),
        (0, (1 << 40, 1 << 40), (0, 0), 12, "reaches out"),
        (0, (13,), (0,), 12, "reaches out"),
        (-1, (2,), (1,), 12, "damaged"),
        (0, (2,), (-1,), 12, "damaged"),
        (0, (3, 4), (4,), 12, "do not go together"),
        (0, (3, 4), (4, 1), 13, "should have 52 bytes and has 48"),
        (0, (1,) * 17, (1,) * 17, 12, "17 axes"),
        (0, (1 << 62,), (1,), 12, "do not go together"),
    ],
)
def test_a_tensor_that_is_not_inside_its_storage_is_refused(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...], count: int, word: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    refused(described(tmp_path / "a.pt", _tensor(offset, shape, strides, count)), word)


def test_zips_that_torch_does_not_write_are_refused(tmp_path: Path) -> None:
    def other_end(name: str, old: bytes) -> bytes:
        return b"big" if name.endswith("byteorder") else old

    def gone(name: str, old: bytes) -> bytes | None:
        return None if name.endswith("data/0") else old

    def no_list(name: str, old: bytes) -> bytes | None:
        return None if name.endswith("data.pkl") else old

    refused(rezipped(tmp_path / "a.pt", other_end), "high byte first")
    refused(rezipped(tmp_path / "b.pt", gone), "which the file does not hold")
    refused(rezipped(tmp_path / "c.pt", no_list), "0 lists of tensors")
    keep = rezipped(tmp_path / "d.pt", lambda _, old: old, zipfile.ZIP_DEFLATED)
    refused(keep, "is compressed", "save it again")
    with zipfile.ZipFile(tmp_path / "e.pt", "w") as out:
        out.writestr("../../data.pkl", b"")
    refused(tmp_path / "e.pt", "0 lists of tensors")
    (tmp_path / "f.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    refused(tmp_path / "f.pt", "git lfs pull")
    (tmp_path / "g.pt").write_bytes(b"")
    refused(tmp_path / "g.pt", "only 0 bytes")


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_cut_off_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    whole = (FOLDER / name).read_bytes()
    for end in range(0, len(whole) - 1, 97):
        (tmp_path / "cut.pt").write_bytes(whole[:end])
        refused(tmp_path / "cut.pt", "cut.pt")


def test_entries_that_lie_about_their_place_or_size_are_refused(tmp_path: Path) -> None:
    whole = (FOLDER / "kinds.pt").read_bytes()
    first = whole.index(b"PK\x01\x02")
    for at, layout, value in ((20, "<I", 1 << 30), (24, "<I", 7), (42, "<I", 1), (10, "<H", 12),
                              (8, "<H", 1), (28, "<H", 60_000)):  # fmt: skip
        changed = bytearray(whole)
        struct.pack_into(layout, changed, first + at, value)
        (tmp_path / "a.pt").write_bytes(changed)
        refused(tmp_path / "a.pt", "a.pt")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name in ("x/data.pkl", "x/data/0", "x/data/1"):
            out.writestr(name, b"12345678")
    twice = buffer.getvalue().replace(b"x/data/1", b"x/data/0")
    (tmp_path / "b.pt").write_bytes(twice)
    refused(tmp_path / "b.pt", "two entries 'x/data/0'")
