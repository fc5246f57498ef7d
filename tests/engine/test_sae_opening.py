"""An SAE and the model it is to read: whose it is, at which hook, and how wide."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import RunError
from engine.refs import MissingInput
from engine.sae import files
from engine.sae.opening import KIND, check_fits, open_sae, ref_of

STANDARD = Path(__file__).parents[1] / "data" / "saes" / "standard"
HOOK = "blocks.1.hook_resid_post"


def model(**changes: Any) -> Any:
    """Just what an SAE asks of a model."""
    hooks = {HOOK: "batch pos d_model", "blocks.1.attn.hook_z": "batch pos head d_head"}
    sizes = SimpleNamespace(d_model=6, d_head=3, n_heads=2, n_ctx=9)
    has = {"name": "gpt2", "digest": "a" * 64, "config": sizes, "listen": lambda: None}
    return SimpleNamespace(**(has | {"hooks": lambda: hooks} | changes))


def test_an_sae_of_another_model_is_told_by_both_digests_and_its_hook() -> None:
    sae = replace(files.load(STANDARD), model_digest="a" * 64)
    assert check_fits(sae, model()) is sae
    with pytest.raises(RunError, match=rf"gpt2 at {HOOK} \(sha aaaaaaaa….*other \(sha bbbbbbbb…"):
        check_fits(sae, model(name="other", digest="b" * 64))
    header = check_fits(sae, model(digest="header:" + "c" * 64))
    assert header is sae  # the weights' digest is not known yet: nothing can be said
    guess = check_fits(replace(sae, model_digest=""), model(name="other"))
    assert "gpt2, and this is other" in " ".join(guess.about["warnings"])


def test_a_hook_of_another_width_or_none_is_told_with_both_widths() -> None:
    sae = files.load(STANDARD)
    with pytest.raises(RunError, match=rf"reads 6 numbers, and {HOOK} of gpt2 has 12"):
        check_fits(sae, model(config=SimpleNamespace(d_model=12, n_ctx=9)))
    with pytest.raises(RunError, match=r"blocks\.7\.hook_resid_post.*no such hook.*" + HOOK):
        check_fits(replace(sae, hook_name="blocks.7.hook_resid_post"), model())
    heads = replace(sae, hook_name="blocks.1.attn.hook_z")
    assert check_fits(heads, model()) is heads
    with pytest.raises(RunError, match=r"reads 6 numbers, and .* has 3"):
        check_fits(replace(heads, hook_head_index=1), model())
    with pytest.raises(RunError, match=r"head 2 of .* has 2"):
        check_fits(replace(heads, hook_head_index=2), model())


def test_a_ref_whose_bytes_have_changed_is_not_opened(tmp_path: Path) -> None:
    at = Path(shutil.copytree(STANDARD, tmp_path / "sae"))
    ref = ref_of(at)
    assert ref.kind == KIND
    open_sae(ref, model())
    said = json.loads((at / "cfg.json").read_text()) | {"apply_b_dec_to_input": False}
    (at / "cfg.json").write_text(json.dumps(said))
    with pytest.raises(MissingInput, match="has changed"):
        open_sae(ref, model())
