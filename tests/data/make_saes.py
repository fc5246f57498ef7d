"""Makes tests/data/saes: small SAEs written by sae_lens 6.54.12, and what it computes with them.

    .venv-bench/bin/python tests/data/make_saes.py

Run from the top of the repository by an interpreter that has the peers (`make bench` makes one).
Every folder is one way in which SAEs lie on disk; golden.npz holds the inputs `x` [row, d_in] and
per folder `NAME.features` [row, d_sae] and `NAME.reconstruction` [row, d_in], all computed by
SAELens. Folders `written-NAME` are ours, by `engine.sae.files.save`, with SAELens' values for them.
"""

from __future__ import annotations

import copy
import json
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sae_lens.loading.pretrained_sae_loaders as loaders
import torch
from sae_lens import SAE
from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.saes.gated_sae import GatedSAE, GatedSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
from sae_lens.saes.topk_sae import (
    TopKSAE,
    TopKSAEConfig,
    TopKTrainingSAE,
    TopKTrainingSAEConfig,
)
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the checkout itself, where it is not installed

from engine.sae import files  # noqa: E402

FOLDER = Path(__file__).parent / "saes"
D_IN, D_SAE, ROWS, K, SCALE = 6, 10, 16, 3, 1.75
LIMIT = 200_000  # bytes of all of it
HOOK = "blocks.1.hook_resid_post"

golden: dict[str, np.ndarray] = {}
draw = torch.Generator().manual_seed(0)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=draw)


def filled(sae: Any) -> Any:
    """Random numbers in every parameter: decoder rows of unequal length, thresholds above 0."""
    for name, parameter in sae.named_parameters():
        values = randn(*parameter.shape)
        scale = 0.3 if name == "threshold" else 0.5
        parameter.data = values.abs() * scale if name == "threshold" else values * scale
    return sae


def made(kind: Any, config: Any, **fields: Any) -> Any:
    metadata = SAEMetadata(model_name="gpt2", hook_name=HOOK, context_size=16, prepend_bos=True)
    return filled(kind(config(d_in=D_IN, d_sae=D_SAE, metadata=metadata, **fields)))


@torch.no_grad()
def keep(name: str, sae: Any, x: torch.Tensor) -> None:
    f = sae.encode(x)
    golden[f"{name}.features"] = f.numpy()
    golden[f"{name}.reconstruction"] = sae.decode(f).numpy()


def changed(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Rewrite a folder's cfg.json."""
    file = FOLDER / name / "cfg.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))


def flat(config: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The configuration as versions before 6 wrote it."""
    config = dict(config)
    metadata = config.pop("metadata")
    names = ("rescale_acts_by_decoder_norm", "k", "reshape_activations", "architecture")
    for name in names:
        config.pop(name, None)
    return {
        **config, "hook_point": metadata["hook_name"], "hook_point_head_index": None,
        "hook_point_layer": 1, "model_name": "gpt2", "context_size": 16, "dtype": "torch.float32",
        **more,
    }  # fmt: skip


def sae_lens_folders(x: torch.Tensor) -> None:
    plain = {
        "standard": (StandardSAE, StandardSAEConfig, {}),
        "no-b-dec": (StandardSAE, StandardSAEConfig, {"apply_b_dec_to_input": False}),
        "layer-norm": (StandardSAE, StandardSAEConfig, {"normalize_activations": "layer_norm"}),
        "constant-norm": (
            GatedSAE, GatedSAEConfig, {"normalize_activations": "constant_norm_rescale"},
        ),
        "topk": (TopKSAE, TopKSAEConfig, {"k": K}),
        "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig, {}),
        "gated": (GatedSAE, GatedSAEConfig, {}),
    }  # fmt: skip
    for name, (kind, config, fields) in plain.items():
        sae = made(kind, config, **fields)
        sae.save_model(FOLDER / name)
        keep(name, SAE.load_from_disk(FOLDER / name), x)
    trained = {
        "topk": made(TopKTrainingSAE, TopKTrainingSAEConfig, k=K),
        "batchtopk": made(BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, k=K + 0.5),
    }
    trained["batchtopk"].topk_threshold = torch.tensor(0.4, dtype=torch.double)
    for name, sae in trained.items():
        sae.save_inference_model(FOLDER / f"{name}-trained")
        keep(f"{name}-trained", SAE.load_from_disk(FOLDER / f"{name}-trained"), x)
        sae.cfg.normalize_activations = "expected_average_only_in"
        sae.save_model(FOLDER / f"{name}-checkpoint")
        scaler = {"scaling_factor": SCALE, "has_whitening": False}
        (FOLDER / f"{name}-checkpoint" / "activation_scaler.json").write_text(json.dumps(scaler))
        at_the_end = copy.deepcopy(sae)
        at_the_end.fold_activation_norm_scaling_factor(SCALE)
        at_the_end.save_inference_model(FOLDER / "end")
        keep(f"{name}-checkpoint", SAE.load_from_disk(FOLDER / "end"), x)
        shutil.rmtree(FOLDER / "end")


def old_folders(x: torch.Tensor) -> None:
    made(TopKSAE, TopKSAEConfig, k=K).save_model(FOLDER / "flat-topk")
    changed("flat-topk", lambda c: flat(c, activation_fn_str="topk", activation_fn_kwargs={"k": K},
                                        normalize_activations=False))  # fmt: skip
    keep("flat-topk", SAE.load_from_disk(FOLDER / "flat-topk"), x)

    name = "flat-finetuned"
    made(StandardSAE, StandardSAEConfig).save_model(FOLDER / name)
    sae = SAE.load_from_disk(FOLDER / name)
    file = FOLDER / name / "sae_weights.safetensors"
    factor = 1 + randn(D_SAE).abs()
    save_file({**load_file(file), "scaling_factor": factor}, file)
    changed(name, lambda c: flat(c, finetuning_scaling_factor=True, normalize_activations="none"))
    keep(name, sae, x)  # version 6 no longer loads such a file; the factor is in front of W_dec
    with torch.no_grad():
        golden[f"{name}.reconstruction"] = sae.decode(sae.encode(x) * factor).numpy()

    name = "half"
    made(JumpReLUSAE, JumpReLUSAEConfig).to(torch.bfloat16).save_model(FOLDER / name)
    keep(name, SAE.load_from_disk(FOLDER / name, dtype="float32"), x)


def through(loader: Any, folder: str, **more: Any) -> Any:
    """The SAE that a loader of SAELens makes of files that lie here and not on the hub."""
    config, state, _ = loader(repo_id=more.pop("repo_id", "here"), folder_name=folder, **more)
    config = loaders.handle_config_defaulting(config)
    kind = SAE.get_sae_class_for_architecture(config["architecture"])
    sae = kind(SAE.get_sae_config_class_for_architecture(config["architecture"]).from_dict(config))
    sae.load_state_dict(state)
    return sae


def foreign_folders(x: torch.Tensor) -> None:
    """Gemma Scope and dictionary_learning, with the values that SAELens' own loaders give."""
    at = {"folder": ""}

    def here(*args: Any, filename: str = "", **_rest: Any) -> str:
        return str(FOLDER / at["folder"] / Path(filename or args[1]).name)

    loaders.hf_hub_download = here
    at["folder"] = name = "gemma-scope-2b-pt-res/layer_3/width_16k/average_l0_5"
    (FOLDER / name).mkdir(parents=True)
    source = made(JumpReLUSAE, JumpReLUSAEConfig)
    state = {key: value.numpy() for key, value in source.state_dict().items()}
    np.savez(FOLDER / name / "params.npz", **state)
    overrides = {"d_in": D_IN, "d_sae": D_SAE}
    sae = through(loaders.gemma_2_sae_huggingface_loader, "layer_3/width_16k/average_l0_5",
                  repo_id="google/gemma-scope-2b-pt-res", cfg_overrides=overrides)  # fmt: skip
    keep("gemma-scope", sae, x)

    linear = {"encoder.weight": (D_SAE, D_IN), "decoder.weight": (D_IN, D_SAE)}
    kept = {**linear, "encoder.bias": (D_SAE,), "b_dec": (D_IN,)}
    gates = {"r_mag": (D_SAE,), "gate_bias": (D_SAE,), "mag_bias": (D_SAE,)}
    direct = {"W_enc": (D_IN, D_SAE), "W_dec": (D_SAE, D_IN), "b_enc": (D_SAE,),
              "b_dec": (D_IN,), "threshold": (D_SAE,)}  # fmt: skip
    classes = {
        "AutoEncoder": {**linear, "encoder.bias": (D_SAE,), "bias": (D_IN,)},
        "AutoEncoderTopK": {**kept, "threshold": ()},
        "BatchTopKSAE": {**kept, "threshold": ()},
        "GatedAutoEncoder": {**linear, "decoder_bias": (D_IN,), **gates},
        "JumpReluAutoEncoder": direct,
    }
    for kind, shapes in classes.items():
        at["folder"] = name = f"dictionary-{kind}"
        (FOLDER / name).mkdir()
        state = {key: randn(*shape) * 0.5 for key, shape in shapes.items()}
        if "threshold" in state:
            state["threshold"] = state["threshold"].abs()
        if "TopK" in kind:
            state["k"] = torch.tensor(K)
        torch.save(state, FOLDER / name / "ae.pt")
        trainer = {
            "dict_class": kind, "activation_dim": D_IN, "dict_size": D_SAE, "layer": 1,
            "lm_name": "EleutherAI/gpt2", "submodule_name": "resid_post_layer_1",
        }  # fmt: skip
        if "TopK" in kind:
            trainer["k"] = K
        config = {"trainer": trainer, "buffer": {"ctx_len": 16}}
        (FOLDER / name / "config.json").write_text(json.dumps(config))
        loader = loaders.dictionary_learning_sae_huggingface_loader_1
        keep(name, through(loader, "here", device="cpu"), x)


def written_folders(x: torch.Tensor) -> None:
    """Ours, in the other direction: what SAELens computes with what we write."""
    for name in ("standard", "layer-norm", "topk-checkpoint", "batchtopk-checkpoint", "gated"):
        folder = FOLDER / f"written-{name}"
        files.save(files.load(FOLDER / name), folder)
        keep(folder.name, SAE.load_from_disk(folder), x)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    x = randn(ROWS, D_IN) + 0.5
    golden["x"] = x.numpy()
    sae_lens_folders(x)
    old_folders(x)
    foreign_folders(x)
    for name in [one.parent.name for one in FOLDER.glob("*/cfg.json")]:
        changed(name, lambda c: dict(sorted(c.items())))  # SAELens keeps some keys in a set
    written_folders(x)
    np.savez_compressed(FOLDER / "golden.npz", **golden)
    found = [file for file in FOLDER.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in found)
    assert size < LIMIT, size
    print(f"{size:,} bytes in {len(found)} files; {len(golden) // 2} SAEs")


if __name__ == "__main__":
    torch.manual_seed(0)
    warnings.simplefilter("error")
    main()
