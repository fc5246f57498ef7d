"""Bases: ways of reading one activation x as numbers that may each mean something.

An SAE's latents f(x); the units x_i themselves; principal components (x - mean) . v_i; a direction
x . u. Each has decoder rows, so that x_hat = offset + f rows is what it says of x.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import RunError, SpecError
from engine.lens.text import prompts
from engine.model.opening import HEADER
from engine.probes import directions
from engine.probes.components import components
from engine.refs import SHORT, Ref
from engine.sae.opening import open_sae
from engine.sae.sae import SAE
from engine.sae.store import Site, read, site_of, together

__all__ = ["COMPONENT_TOKENS", "Basis", "activations", "chosen", "counted"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

COMPONENT_TOKENS = 16_384  # whose covariance gives the components: 30 rows each at width 512
SLAB_FLOPS = 2e9  # of one product between two looks at Stop
_SEED = 0  # of the iteration that finds components of a wide activation


@dataclass(frozen=True, eq=False)
class Basis:
    """rows [latent, d_in]: the decoder; offset [d_in]. `sae` where it is one; signed: f may be < 0.

    name: in words; digest: of the SAE or direction, "" for what the model itself has.
    """

    kind: str
    name: str
    site: Site
    rows: Floats
    offset: Floats
    signed: bool = True
    digest: str = ""
    sae: SAE | None = None
    warnings: tuple[str, ...] = ()

    @property
    def hook(self) -> str:
        return self.site.hook

    @property
    def n(self) -> int:
        """Latents."""
        return len(self.rows)

    def read(self, x: Floats, watch: Callable[[], object]) -> Floats:
        """x [row, d_in] -> f [row, latent], a new array; `watch` may raise between slabs."""
        if self.kind == "neurons":
            return np.array(x, np.float32)
        f = np.empty((len(x), self.n), np.float32)  # [row, latent]
        step = max(1, int(SLAB_FLOPS / (2 * x.shape[1] * self.n)))
        for first in range(0, len(x), step):
            watch()
            part = x[first : first + step]  # [row, d_in]
            into = f[first : first + step]  # [row, latent]
            if self.sae is not None:
                into[...] = self.sae.encode(part)
            else:
                np.matmul(part - self.offset, self.rows.T, out=into)
        return f

    def back(self, x: Floats, f: Floats) -> Floats:
        """What is said of x [row, d_in], which was read as f [row, latent]: x_hat [row, d_in]."""
        if self.kind == "neurons":
            return x
        return self.sae.reconstruct(x) if self.sae is not None else self.offset + f @ self.rows


def counted(model: Any, ids: Ints, count_bos: bool) -> npt.NDArray[np.bool_]:
    """Which tokens [..., pos] count: all but BOS, unless asked."""
    bos = getattr(model.tokenizer, "bos_id", None)
    if count_bos or bos is None:
        return np.ones(ids.shape, bool)
    return ids != bos


def activations(model: Any, basis: Basis, ids: Ints) -> Floats:
    """ids [batch, pos] -> what the basis reads, [batch * pos, d_in]."""
    return read(model, ids, basis.site).reshape(-1, basis.site.width)


def chosen(spec: Any, model: Any) -> Generator[float, None, Basis]:
    """The basis that a spec asks for; yields the share of the text read, where it needs one.

    spec: basis, sae, direction, hook, n_components, data, n_tokens, context, count_bos. RunError
    or SpecError where the SAE or the direction is missing or does not fit this model and hook.
    """
    kind = spec.basis
    if kind == "auto":
        kind = "SAE" if spec.sae else "direction" if spec.direction else "neurons"
    if kind == "SAE" and spec.sae is None:
        raise SpecError("sae", "choose a folder with an SAE, or another basis")
    if kind == "direction" and not spec.direction:
        raise SpecError("direction", "choose a kept direction, or another basis")
    sae = None if spec.sae is None else open_sae(spec.sae, model)
    vector, about = None, None
    if kind == "direction" and isinstance(spec.direction, Ref):
        vector, about = directions.read(spec.direction, model.listen)
    elif kind == "direction":
        vector = np.array(spec.direction)  # [d_in]
    site = _site(spec, model, kind, sae, "" if about is None else about.hook)
    if kind == "SAE":
        assert sae is not None
        assert spec.sae is not None
        return _of_sae(sae, spec.sae, site, spec.hook)
    zero = np.zeros(site.width, np.float32)  # [d_in]
    if vector is not None:
        if len(vector) != site.width:
            raise SpecError(
                "direction",
                f"it has {len(vector)} numbers, and {site.label} is {site.width} wide: choose the "
                "hook that it comes from",
            )
        is_ref = isinstance(spec.direction, Ref)
        name = about.name if about else spec.direction.name if is_ref else "the given direction"
        digest = spec.direction.digest if is_ref else ""
        row = directions.unit(vector)[None].astype(np.float32)  # [1, d_in]
        return Basis("direction", name, site, row, zero, digest=digest)
    if kind == "neurons":
        rows = np.eye(site.width, dtype=np.float32)  # [unit, d_in]
        return Basis("neurons", f"units of {site.label}", site, rows, zero)
    return (yield from _components(spec, model, site))


def _site(spec: Any, model: Any, kind: str, sae: SAE | None, of_direction: str) -> Site:
    """The activation that is named, else the SAE's or the direction's, else a usual one."""
    head = -1
    hook = spec.hook
    if sae is not None and hook in ("", sae.hook_name):
        hook = sae.hook_name
        head = -1 if sae.hook_head_index is None else sae.hook_head_index
    if not hook and of_direction:
        hook = of_direction
    if not hook:
        if kind == "SAE":
            raise SpecError("hook", "this SAE does not say which activation it reads: name it")
        layer = getattr(model.config, "n_layers", 0) // 2
        units, stream = f"blocks.{layer}.mlp.hook_post", f"blocks.{layer}.hook_resid_post"
        has_units = kind == "neurons" and units in model.hooks()
        hook = units if has_units else stream
    return site_of(model, hook, head)


def _of_sae(sae: SAE, ref: Ref, site: Site, asked: str) -> Basis:
    if site.width != sae.d_in:
        was = sae.model_digest.removeprefix(HEADER)[:SHORT] or "unknown"
        raise SpecError(
            "hook",
            f"{site.label} has {site.width:,} numbers, and the SAE {ref.name} (sha {ref.short}…), "
            f"trained on {sae.model_name or 'an unnamed model'} (sha {was}…) at "
            f"{sae.hook_name or 'an unnamed hook'}, reads {sae.d_in:,}: name the hook it was "
            "trained on",
        )
    warnings = [str(sentence) for sentence in sae.about.get("warnings", ())]
    if asked and sae.hook_name and asked != sae.hook_name:
        warnings.append(f"the SAE was trained on {sae.hook_name} and reads {asked} here")
    name = f"{ref.name or 'an SAE'}: {sae.architecture}, {sae.d_sae:,} latents of {site.label}"
    rows = np.asarray(sae.W_dec, np.float32)  # [latent, d_in]
    offset = np.asarray(sae.b_dec, np.float32)  # [d_in]
    return Basis("SAE", name, site, rows, offset, False, ref.digest, sae, tuple(warnings))


def _components(spec: Any, model: Any, site: Site) -> Generator[float, None, Basis]:
    """Principal components of the first tokens of the text."""
    n_tokens = min(spec.n_tokens, COMPONENT_TOKENS)
    ids, source = prompts(model, spec.data, n_tokens, min(spec.context, model.config.n_ctx))
    parts, several = [], together(model, ids.shape[1])
    for first in range(0, len(ids), several):
        some = ids[first : first + several]  # [batch, pos]
        x = read(model, some, site)  # [batch, pos, d_in]
        parts.append(x[counted(model, some, spec.count_bos)])  # [row, d_in]
        yield min(1.0, (first + several) / len(ids))
    X = np.concatenate(parts)  # [row, d_in]
    count = min(spec.n_components, site.width, len(X) - 1)
    if count < 1:
        raise RunError(f"{source} has {len(X)} tokens: too few for principal components")
    found = components(X, count, _SEED, model.listen)
    if not found.total:
        raise RunError(f"{site.label} is the same at every token of {source}: nothing varies")
    share = found.explained.sum()
    name = f"{count} principal components of {site.label} ({share:.0%} of its variance)"
    warnings = ()
    if spec.n_tokens > n_tokens:
        warnings = (f"the components are those of the first {len(X):,} tokens of {source}",)
    return Basis(
        "components", name, site, found.axes.astype(np.float32), found.center.astype(np.float32),
        warnings=warnings,
    )  # fmt: skip
