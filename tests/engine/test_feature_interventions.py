"""Features of an SAE as interventions: effect and gradient as a pair, refusals, words."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.errors import RunError
from engine.export import read_intervention, to_command
from engine.intervention_words import in_words, interventions_in_words
from engine.mlp.config import MLPConfig
from engine.mlp.model import MLP, start
from engine.model import (
    Intervention,
    Patch,
    Transformer,
    backward,
    base_names,
    generate,
    open_model,
    resume,
)
from engine.model.backward import tape_names
from engine.refs import MissingInput, Ref
from engine.sae import files
from engine.sae.edited import EDITS, EditedLatents
from engine.sae.opening import open_sae, ref_of
from engine.sae.sae import ARCHITECTURES, SAE
from engine.techniques.logit_lens import LogitLens
from tests.engine.doubles import in_float64

D_IN, D_SAE, LATENTS = 12, 30, (3, 17, 8)


def small(architecture: str = "standard", d_in: int = D_IN, **about) -> SAE:
    """An SAE with drawn weights, about half of whose latents fire on a normal row."""
    rng = np.random.default_rng(5)

    def drawn(*shape: int, spread: float = 0.4) -> np.ndarray:
        return (spread * rng.standard_normal(shape)).astype(np.float32)

    more: dict[str, Any] = {"b_enc": drawn(D_SAE)}
    if architecture in ("jumprelu", "batchtopk"):
        more["threshold"] = np.abs(drawn(D_SAE))
    if architecture == "gated":
        more = {"b_gate": drawn(D_SAE), "b_mag": drawn(D_SAE), "r_mag": drawn(D_SAE)}
    made = SAE(
        architecture, drawn(d_in, D_SAE), drawn(D_SAE, d_in), drawn(d_in),
        k=9 if "topk" in architecture else None, **more,
    )  # fmt: skip
    return replace(made, **about)


CASES = [
    *[(name, {}) for name in ARCHITECTURES],
    ("topk", {"rescale_acts_by_decoder_norm": True}),
    ("batchtopk", {"rescale_acts_by_decoder_norm": True}),
    ("standard", {"apply_b_dec_to_input": False}),
    ("standard", {"normalize_activations": "expected_average_only_in", "scaling": 2.5}),
    ("topk", {"normalize_activations": "constant_norm_rescale"}),
    ("jumprelu", {"normalize_activations": "layer_norm"}),
]


@pytest.mark.parametrize(("architecture", "about"), CASES)
def test_an_edit_puts_the_activation_where_it_says_and_keeps_the_error(architecture, about) -> None:
    sae = small(architecture, **about)
    x = (2.0 * np.random.default_rng(0).standard_normal((40, D_IN))).astype(np.float32)
    f = sae.encode(x)  # [row, d_sae]
    assert 0 < (f[:, LATENTS] > 0).mean() < 1
    for edit in EDITS:
        wanted = f.copy()  # [row, d_sae]
        now = f[:, LATENTS]
        wanted[:, LATENTS] = {
            "zero": now * 0, "scale": now * 1.5, "steer": now + 1.5, "clamp": now * 0 + 1.5,
        }[edit]  # fmt: skip
        inside, undo = sae.normalised(x)
        plain = replace(sae, normalize_activations="none", scaling=None)
        moved = undo(plain.decode(wanted)) - undo(plain.decode(f))  # [row, d_in]
        got = EditedLatents(sae, LATENTS, edit, 1.5).apply(x)
        np.testing.assert_allclose(got, x + moved, atol=2e-5)
        assert inside.shape == got.shape


@pytest.mark.parametrize(("architecture", "about"), CASES)
@pytest.mark.parametrize("edit", EDITS)
def test_its_gradient_is_the_slope(architecture, about, edit) -> None:
    """By central differences in float64, a row at a time."""
    rng = np.random.default_rng(1)
    edited = EditedLatents(small(architecture, **about), LATENTS, edit, 1.7)
    x, along, seed = (rng.standard_normal((30, D_IN)) * size for size in (2.0, 1.0, 1.0))
    slope = (edited.apply(x + 1e-6 * along) - edited.apply(x - 1e-6 * along)) / 2e-6
    wanted = (slope * seed).sum(axis=1)  # [row]
    got = (edited.vjp(seed, x) * along).sum(axis=1)  # [row]
    np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-4)


def test_what_does_not_fire_is_not_zeroed_nor_scaled_but_can_be_raised() -> None:
    sae = small()
    sae = replace(sae, b_enc=np.full(D_SAE, -99.0, np.float32))
    x = np.ones((2, D_IN), np.float32)
    for edit in ("zero", "scale"):
        np.testing.assert_array_equal(EditedLatents(sae, (4,), edit, 3.0).apply(x), x)
    raised = EditedLatents(sae, (4,), "steer", 3.0).apply(x)
    np.testing.assert_allclose(raised - x, np.tile(3.0 * sae.W_dec[4], (2, 1)), atol=1e-5)


# --- on a view of a model -------------------------------------------------------------------------

FAMILIES = Path(__file__).parents[1] / "data" / "families"
IDS = [1, 5, 8, 2, 6]
STREAM, Z = "blocks.1.hook_resid_pre", "blocks.1.attn.hook_z"
OUT = "blocks.0.hook_attn_out"


@pytest.fixture(scope="module")
def model() -> Transformer:
    return open_model(FAMILIES / "gpt2-tied")


@pytest.fixture(scope="module")
def folders(model: Transformer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ref]:
    """SAEs on disk: of each of three hooks, of one head, and of another model."""
    root, d_head = tmp_path_factory.mktemp("saes"), model.config.d_head
    wide = model.config.n_heads * d_head
    made = {
        name: small(d_in=wide if name == Z else D_IN, hook_name=name) for name in (STREAM, Z, OUT)
    }
    made["head"] = small(d_in=d_head, hook_name=Z, hook_head_index=1)
    made["topk"] = small("topk", hook_name=STREAM)
    made["other"] = small(hook_name=STREAM, model_digest="header:" + "f" * 64, model_name="another")
    made["wide"] = small(d_in=D_IN + 1)
    found = {}
    for name, sae in made.items():
        sae = sae if sae.model_digest else replace(sae, model_digest=model.digest)
        found[name] = files.save(sae, root / f"{name}-sae")
    return found


def kept(model: Transformer, ids: list[int], name: str) -> np.ndarray:
    return model.forward(ids, names=[name]).cache[name][0]


@pytest.mark.parametrize("which", [STREAM, Z, OUT, "head", "topk"])
def test_features_are_held_at_the_positions_asked_for_and_counted(model, folders, which) -> None:
    sae = open_sae(folders[which])
    entry = Intervention(
        sae.hook_name, "clamp", 5.0, positions=(1, 4), units=(3, 8), sae=folders[which]
    )
    view = model.under([entry])
    plain, got = kept(model, IDS, entry.name), kept(view, IDS, entry.name)  # [pos, ...]
    np.testing.assert_array_equal(got[[0, 2, 3]], plain[[0, 2, 3]])
    x, y = plain, got
    if which == "head":
        np.testing.assert_array_equal(got[:, 0], plain[:, 0])
        x, y = plain[:, 1], got[:, 1]
    x, y = x.reshape(5, -1)[[1, 4]], y.reshape(5, -1)[[1, 4]]  # [row, d_in]
    moved = (5.0 - sae.encode(x)[:, [3, 8]]) @ sae.W_dec[[3, 8]]  # [row, d_in]
    np.testing.assert_allclose(y - x, moved, atol=2e-5)
    (fired,) = view.fired()
    assert fired.times == 1
    assert fired.largest == pytest.approx(np.abs(moved).max(), rel=1e-4)


@pytest.mark.parametrize("which", [STREAM, Z, OUT, "head", "topk"])
@pytest.mark.parametrize("edit", ["zero", "scale", "steer", "clamp"])
def test_the_gradient_of_a_model_with_changed_features_is_the_slope(folders, which, edit) -> None:
    model = in_float64("gpt2-tied")
    ref, ids = folders[which], np.array([IDS])
    entry = Intervention(
        open_sae(ref).hook_name, edit, 1.7, positions=(1, 2, 4), units=LATENTS, sae=ref
    )
    view, rng = model.under([entry]), np.random.default_rng(6)
    run = view.forward(ids, names=(*tape_names(view), "hook_embed"))
    seed = rng.standard_normal(run.logits.shape)
    gradient = backward(view, run, seed, names=["hook_embed"]).cache["hook_embed"]
    direction, ends = rng.standard_normal(gradient.shape), []
    for sign in (1, -1):
        moved = run.cache["hook_embed"] + sign * 1e-6 * direction
        out = view.forward(ids, tap=lambda hook, _, m=moved: m if hook == "hook_embed" else None)
        ends.append((out.logits * seed).sum())
    slope, expected = (ends[0] - ends[1]) / 2e-6, (gradient * direction).sum()
    assert abs(slope - expected) <= 2e-5 * max(1.0, abs(expected))


def test_changed_features_hold_in_walks_resumed_runs_and_continuations(model, folders) -> None:
    last = f"blocks.{model.config.n_layers - 1}.hook_resid_post"
    for which in (STREAM, Z, OUT, "topk"):
        sae = open_sae(folders[which])
        view = model.under(
            [Intervention(sae.hook_name, "clamp", 3.0, units=(3, 8), sae=folders[which])]
        )
        walked: dict[str, np.ndarray] = {}
        list(view.walk(IDS, tap=lambda hook, value, seen=walked: seen.update({hook: value})))
        np.testing.assert_allclose(walked[last][0], kept(view, IDS, last), atol=1e-6)
        site, other = "blocks.0.hook_mlp_out", [1, 7, 3, 2, 4]
        base = view.forward(other, names=base_names(view, ["hook_mlp_out"]))
        value = kept(view, IDS, site)  # [pos, d_model]

        def patched(hook: str, seen: np.ndarray, value=value, site=site) -> np.ndarray | None:
            return np.concatenate([seen[:, :2], value[None, 2:]], 1) if hook == site else None

        wanted = view.forward(other, tap=patched).logits[0, -1]
        got = resume(view, base, [[Patch(site, np.arange(2, 5), value[2:])]])[0]
        np.testing.assert_allclose(got, wanted, atol=1e-5)
        said, again = list(generate(view, np.array(IDS), 3)), list(IDS)
        for token in said:
            assert token == int(view.forward(again).logits[0, -1].argmax())
            again.append(token)


@pytest.mark.parametrize(
    ("entry", "which", "message"),
    [
        (Intervention(STREAM), STREAM, "say which features"),
        (Intervention(STREAM, units=(-1,)), STREAM, "feature -1 is below 0"),
        (Intervention(STREAM, units=(30,)), STREAM, r"has no feature 30: its features are 0..29"),
        (Intervention(STREAM, units=(1,), direction=(1.0,) * 12), STREAM, "or a direction, not"),
        (Intervention(STREAM, "patch", units=(1,), source=(1,)), STREAM, "no values from other"),
        (Intervention(STREAM, "steer", units=(1,)), STREAM, "by 0 changes nothing"),
        (Intervention("blocks.1.attn.hook_pattern", units=(1,)), STREAM, "no SAE reads it"),
        (Intervention(OUT, units=(1,)), STREAM, f"reads {STREAM} of .*, and this is {OUT} of"),
        (Intervention(STREAM, units=(1,)), "other", r"sha ffffffff….*, and this is gpt2-tied"),
        (Intervention(STREAM, units=(1,)), "wide", r"reads 13 numbers.*, and .* holds 12"),
        (Intervention(Z, head=0, units=(1,)), Z, "all heads at once: leave the head out"),
        (Intervention(Z, head=0, units=(1,)), "head", "reads head 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_names(model, folders, entry, which, message):
    with pytest.raises(RunError, match=message):
        model.under([replace(entry, sae=folders[which])])


def test_an_sae_that_has_gone_is_a_missing_input(model, folders) -> None:
    gone = replace(folders[STREAM], where=folders[STREAM].where + "-gone")
    with pytest.raises(MissingInput, match="say where it is now") as caught:
        model.under([Intervention(STREAM, units=(1,), sae=gone)])
    assert caught.value.ref == gone


def test_a_network_of_points_has_no_features(folders) -> None:
    config = MLPConfig((2, 16, 16, 1), "relu", "xor", 0)
    net = MLP.from_flat(config, start(config, 0))
    with pytest.raises(RunError, match="reads points, and SAEs read transformers"):
        net.under([Intervention("layers.0.hook_post", units=(1,), sae=folders[STREAM])])


def test_it_is_told_in_words_and_survives_a_session_and_a_command(folders) -> None:
    entry = Intervention(STREAM, "clamp", 8.0, units=(12,), sae=folders["topk"])
    assert in_words(entry) == "clamp feature 12 of topk-sae to 8"
    assert in_words(replace(entry, action="zero", units=(1, 2))) == (
        "ablate features 1, 2 of topk-sae (zero)"
    )
    ref = Ref("SAE", "ab" * 32, "/some/where/run-4")
    steered = replace(entry, action="steer", sae=ref)
    assert in_words(steered) == "steer feature 12 of SAE run-4 by +8"
    (exact,) = interventions_in_words([entry])
    short = folders["topk"].short
    assert exact == f"clamp {STREAM} to 8.0 in feature 12 of SAE topk-sae {short}"
    stored = msgspec.to_builtins(entry)
    assert msgspec.convert(stored, Intervention) == entry
    del stored["sae"]  # as it was stored before there were features
    assert msgspec.convert(stored, Intervention) == replace(entry, sae=None)
    line = to_command(LogitLens(prompt=(1, 2)), "model", interventions=[entry])
    words = shlex.split(line)
    assert read_intervention(words[words.index("--intervene") + 1]) == entry
    typed = f'{{"name": "{STREAM}", "units": [12], "sae": "{ref_path(folders)}"}}'
    assert read_intervention(typed).sae == folders["topk"]


def ref_path(folders: dict[str, Ref]) -> str:
    return Path(folders["topk"].where).as_posix()


# --- the SAE that travels with the little world's model -------------------------------------------


@pytest.fixture(scope="module")
def bundled(project: Path) -> tuple[Transformer, Path, dict[str, Any]]:
    world = project / "resources/models/world-4l"
    told = json.loads((world / "sae/metrics.json").read_text(encoding="utf-8"))
    return open_model(world), world / "sae" / told["hook"], told


def test_the_bundled_sae_is_small_and_of_its_model(bundled) -> None:
    model, folder, told = bundled
    sae = open_sae(folder, model)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 4_000_000
    assert not sae.about.get("warnings")
    assert (sae.hook_name, sae.d_sae, sae.k) == (told["hook"], told["d_sae"], told["k"])
    x = kept(model, model.tokens("the key near the cabinets is red .").tolist(), sae.hook_name)[1:]
    lost = ((x - sae.reconstruct(x)) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
    assert lost < 2 * (1 - told["explained variance"])


def test_the_latent_named_after_the_fourth_bracket_fires_there_alone(bundled) -> None:
    model, folder, told = bundled
    sae, latent = open_sae(folder), told["concepts"]["depth 4"]["latent"]
    ids = model.tokens("( [ { ( ) ( ) } ] ) .").tolist()
    f = sae.encode(kept(model, ids, sae.hook_name))[1:, latent]  # [pos]
    top = set(np.flatnonzero(f > 0.5 * f.max()).tolist())
    assert top == {3, 5}  # where the fourth one opens


def test_a_clamped_feature_turns_a_verdict_as_its_metrics_say(bundled) -> None:
    """In the lens and in a continuation too: both see the changed stream."""
    model, folder, told = bundled
    names = told["concepts"]
    on, off = names["next: bad"]["latent"], names["next: good"]["latent"]
    ref, hook = ref_of(folder), told["hook"]
    ids = model.tokens("anna thought the film was brilliant : verdict").tolist()
    last = (len(ids) - 1,)
    view = model.under([
        Intervention(hook, "clamp", 5.7, positions=last, units=(on,), sae=ref),
        Intervention(hook, positions=last, units=(off,), sae=ref),
    ])  # fmt: skip
    words = [model.token("good"), model.token("bad")]
    plain, changed = (each.forward(ids).logits[0, -1, words] for each in (model, view))
    assert plain[0] > plain[1]
    assert changed[1] > changed[0]
    assert next(iter(generate(view, np.array(ids), 1))) == words[1]
    lens = LogitLens(prompt=tuple(ids)).run(view)
    assert int(lens.top_ids[-1, -1, 0]) == words[1]
    assert [fired.times > 0 for fired in view.fired()] == [True, True]
