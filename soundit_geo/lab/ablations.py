"""The paper's experiments, in small: SounDiTs with a part taken out or set otherwise, trained and measured alike.

Every variant sees the same rows, noises and timesteps, seed by seed, and draws the same unseen places from the same
first noises. How parts are taken out:

- A module whose gate starts at zero is nothing until the gate is trained. *Without SLRCM* freezes α, *without S-AdaLN*
  the mixing weight of time and scene; their other parameters then have no effect and get no gradient.
- *Plain cross-attention* stands for the paper's PixArt+MHCA: one expert whose query has full rank, no scene anywhere.

Every pair of variant and seed is one unit on disk; a run that was stopped goes on, and a unit is made anew where
settings, data or the weights of autoencoder, encoder and judges are no longer those that it was made with.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from soundit_geo.errors import InputError
from soundit_geo.lab.loop import Plan, fit
from soundit_geo.lab.preset.caches import cached, patch_tokens
from soundit_geo.lab.preset.lesson import lesson
from soundit_geo.lab.preset.workshop import Workshop, sounds
from soundit_geo.lab.yardstick import MEASURES, Yardstick
from soundit_geo.soundit.loading import find_folder
from soundit_geo.soundit.pipeline import SounDiTPipeline
from soundit_geo.soundit.transformer import SounDiTTransformer2DModel
from soundit_geo.weights import evidence_of_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

SLRCM, S_ADALN = "*.content.alpha", "*.scene_time.beta"
WIDTH = 192

BASE: dict[str, Any] = {
    "depth": 4,
    "width": WIDTH,
    "heads": 4,
    "patch_size": 2,
    "content_rank": 32,
    "experts": 4,
    "experts_per_sample": 2,
    "expert_rank": 32,
    "time_routing": "modulated",
    "position_step": 2.0,
}
"""The small SounDiT that all variants differ from: three eighths of the preset's blocks, set alike."""


@dataclass(frozen=True)
class Variant:
    """One way to set the model.

    Parameters
    ----------
    group : str
        What is varied: ``"parts"``, ``"experts"``, ``"k"``, ``"routing"`` or ``"tokens"``.
    words : str
        What it is, for the table.
    model : mapping
        Settings other than `BASE`.
    tokens : {"clips", "pooled", "patches"}
        Kind of soundscape tokens.
    frozen : tuple of str
        Patterns of parameters that stay as they are.
    blind : bool
        Whether it never sees a scene, in training and in drawing. It then learns from the sound alone in 87 of 100
        samples, where the others do in 32: that flatters it where the sound stands alone.
    """

    group: str
    words: str
    model: Mapping[str, Any] = field(default_factory=dict)
    tokens: str = "clips"
    frozen: tuple[str, ...] = ()
    blind: bool = False


VARIANTS: dict[str, Variant] = {
    "full": Variant("parts", "full"),
    "no-slrcm": Variant("parts", "without SLRCM", frozen=(SLRCM,)),
    "no-s-adaln": Variant("parts", "without S-AdaLN", frozen=(S_ADALN,)),
    "neither": Variant("parts", "without both, no scene", frozen=(SLRCM, S_ADALN)),
    "cross-attention": Variant(
        "parts",
        "plain cross-attention, no scene",
        {"experts": 1, "experts_per_sample": 1, "expert_rank": WIDTH},
        frozen=(SLRCM, S_ADALN),
        blind=True,
    ),
    "experts-1": Variant("experts", "1 expert", {"experts": 1, "experts_per_sample": 1}),
    "experts-2": Variant("experts", "2 experts", {"experts": 2}),
    "experts-8": Variant("experts", "8 experts", {"experts": 8}),
    "k-1": Variant("k", "1 of 4 experts", {"experts_per_sample": 1}),
    "k-4": Variant("k", "4 of 4 experts", {"experts_per_sample": 4}),
    "routing-as-printed": Variant("routing", "router as printed", {"time_routing": "as_printed"}),
    "tokens-pooled": Variant("tokens", "one token", tokens="pooled"),
    "tokens-patches": Variant("tokens", "patch tokens", tokens="patches"),
}
"""All that is trained; ``full`` has 4 experts, 2 of them per sample, a modulated router and clip tokens."""

SAMPLING: dict[str, dict[str, float]] = {
    **{f"guidance {scale:g}": {"guidance_scale": scale} for scale in (1.0, 2.0, 3.0, 6.0, 8.0)},
    **{
        f"guidance of sound {sound:g}, scene {scene:g}": {
            "soundscape_guidance_scale": sound,
            "scene_guidance_scale": scene,
        }
        for sound, scene in ((1.0, 4.0), (2.0, 4.0), (8.0, 4.0), (4.0, 1.0), (4.0, 2.0), (4.0, 8.0))
    },
    **{f"{steps} steps": {"steps": steps} for steps in (5, 10, 50, 100)},
}
"""Ways to draw with ``full`` other than `USUAL`. Separate guidance with equal scales is joint guidance, so that the one
at 4 lies on all three curves.
"""

USUAL: dict[str, float] = {"guidance_scale": 4.0, "steps": 20}
"""How all variants draw."""

DEAD = {SLRCM: "*.content.*", S_ADALN: "*.scene_time.*"}
"""What has no effect while its gate is frozen at zero."""


@dataclass(frozen=True)
class Budget:
    """How much every variant gets.

    Parameters
    ----------
    places, test_places : int
        Of the training and the test city.
    steps, batch : int
        Optimiser steps and pictures of each.
    rate : float
        Highest learning rate.
    mixed : bool
        Multiply in bfloat16 while training.
    """

    places: int = 4000
    test_places: int = 192
    steps: int = 600
    batch: int = 32
    rate: float = 1e-3
    mixed: bool = False


def ablate(
    out: Path,
    preset: str | Path = "synthetic-city",
    *,
    budget: Budget | None = None,
    seeds: Sequence[int] = (1, 2, 3),
    only: Sequence[str] = (),
    sampling: bool = True,
    progress: bool = False,
) -> dict[str, Any]:
    """Train and measure every variant with every seed, or go on with what is missing.

    Parameters
    ----------
    out : pathlib.Path
        Data, units and results.
    preset : str or pathlib.Path, optional
        Lends autoencoder, encoder, sampler and judges.
    budget : Budget, optional
        What each variant gets.
    seeds : sequence of int, optional
        Of first weights, rows, noises and timesteps.
    only : sequence of str, optional
        Keys of `VARIANTS`; all by default.
    sampling : bool, optional
        Also draw with ``full`` in the ways of `SAMPLING`.
    progress : bool, optional
        Show bars.

    Returns
    -------
    dict
        ``units``: for each variant, and each way of sampling, a list with the figures of each seed; ``parameters`` of
        each variant; and the circumstances.

    Raises
    ------
    InputError
        If a variant is unknown, the preset is no folder, or no seed came.
    """
    unknown = [name for name in only if name not in VARIANTS]
    if unknown:
        raise InputError(f"Variant {unknown[0]!r} is unknown; there are {', '.join(VARIANTS)}.")
    if not seeds:
        raise InputError("seeds is empty; give at least one.")
    folder = find_folder(str(preset))
    if folder is None:
        raise InputError(
            f"{preset} is neither an embedded preset nor a folder; ablations need one with judges."
        )
    budget = budget or Budget()
    shop = Workshop(
        out / "data",
        folder,
        places=budget.places,
        test_places=budget.test_places,
        sounds=budget.places,
        test_sounds=budget.test_places,
        learnt=budget.places,
    )
    sounds(shop)
    made_of = _made_of(shop)
    names, seeds = list(dict.fromkeys(only)) or list(VARIANTS), list(dict.fromkeys(seeds))
    pipe = SounDiTPipeline.from_pretrained(folder)
    units: dict[str, list[dict[str, float]]] = {}
    parameters: dict[str, int] = {}
    stick: Yardstick | None = None
    for name in names:
        for seed in seeds:
            ways: dict[str, dict[str, float]] = {name: USUAL}
            if name == "full" and sampling:
                ways |= SAMPLING
            unit = _Unit(out / "units" / f"{name}-{seed}", VARIANTS[name], seed, budget, made_of)
            figures = unit.figures()
            if not set(ways) <= set(figures):
                model = unit.trained(shop)
                stick = stick or Yardstick(shop, pipe, progress=progress)
                for way in [way for way in ways if way not in figures]:
                    figures[way] = stick.measure(
                        model, VARIANTS[name].tokens, blind=VARIANTS[name].blind, **ways[way]
                    )
                    unit.keep(figures, model)
            parameters[name] = unit.parameters()
            for way in ways:
                units.setdefault(way, []).append(figures[way])
    return {
        "model": str(preset),
        "evidence": evidence_of_model(folder),
        "budget": asdict(budget),
        "seeds": list(seeds),
        "groups": {name: VARIANTS[name].group for name in names},
        "words": {name: VARIANTS[name].words for name in names},
        "parameters": parameters,
        "units": units,
    }


@dataclass(frozen=True)
class _Unit:
    """A variant with a seed, on disk: ``.safetensors`` and ``.json``."""

    stem: Path
    variant: Variant
    seed: int
    budget: Budget
    made_of: str

    @property
    def plan(self) -> Plan:
        """How it is trained."""
        budget = self.budget
        return Plan(budget.steps, rate=budget.rate, warmup=100, decay=0.0, average=0.995, mixed=budget.mixed)

    @property
    def key(self) -> str:
        """What it must have been made with."""
        said = {
            "base": BASE,
            "variant": asdict(self.variant),
            "seed": self.seed,
            "budget": asdict(self.budget),
            "plan": asdict(self.plan),
            "measures": list(MEASURES),
            "ways": [USUAL, SAMPLING],
            "made_of": self.made_of,
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=dict).encode()).hexdigest()

    def _read(self) -> dict[str, Any]:
        file = self.stem.with_suffix(".json")
        kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return kept if kept.get("key") == self.key else {}

    def figures(self) -> dict[str, dict[str, float]]:
        """Figures by way of drawing, as far as they are there."""
        return dict(self._read().get("figures", {}))

    def parameters(self) -> int:
        """Parameters that have an effect."""
        return int(self._read()["parameters"])

    def keep(self, figures: Mapping[str, Any], model: SounDiTTransformer2DModel) -> None:
        """Write the figures, whole or not at all."""
        dead = [DEAD[gate] for gate in self.variant.frozen]
        alive = [
            value.numel()
            for name, value in model.named_parameters()
            if not any(fnmatch(name, part) for part in dead)
        ]
        count = sum(alive)
        kept = {"key": self.key, "parameters": count, "figures": figures}
        part = self.stem.with_suffix(".part")
        part.write_text(json.dumps(kept, indent=2))
        part.replace(self.stem.with_suffix(".json"))

    def trained(self, shop: Workshop) -> SounDiTTransformer2DModel:
        """The averaged weights: read, or trained, or trained on from a checkpoint."""
        cache = _cache(shop, self.variant.tokens)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            model = build(self.variant, cache)
        file, key = self.stem.with_suffix(".safetensors"), self.stem.with_suffix(".key")
        checkpoints = self.stem.parent / "stages"
        self.stem.parent.mkdir(parents=True, exist_ok=True)
        if not (key.exists() and key.read_text() == self.key):
            file.unlink(missing_ok=True)
            (checkpoints / f"{self.stem.name}.pt").unlink(missing_ok=True)
            key.write_text(self.key)
        if not file.exists():
            best: SounDiTTransformer2DModel = fit(
                model,
                losses_of(model, self.variant, cache, self.budget.batch, self.seed),
                self.plan,
                checkpoints,
                self.stem.name,
            )
            save_file(
                {name: value.contiguous() for name, value in best.state_dict().items()},
                file.with_suffix(".part"),
            )
            file.with_suffix(".part").replace(file)
            (checkpoints / f"{self.stem.name}.pt").unlink(missing_ok=True)
        model.load_state_dict(load_file(file))
        return model.eval()


def build(variant: Variant, cache: Mapping[str, Tensor]) -> SounDiTTransformer2DModel:
    """Make a variant's model, with what it does without frozen at nothing.

    Parameters
    ----------
    variant : Variant
        Which.
    cache : mapping of str to torch.Tensor
        See `soundit_geo.lab.preset.caches.cached`; gives the widths.

    Returns
    -------
    SounDiTTransformer2DModel
        Random weights of the present random state.
    """
    latents, tokens, summary, scenes = (cache[key] for key in ("latents", "tokens", "summary", "scenes"))
    model = SounDiTTransformer2DModel(
        **BASE | dict(variant.model),
        sample_size=latents.shape[-1],
        in_channels=latents.shape[2],
        token_dim=tokens.shape[-1],
        summary_dim=summary.shape[-1],
        scene_dim=scenes.shape[-1],
    )
    for name, parameter in model.named_parameters():
        if any(fnmatch(name, pattern) for pattern in variant.frozen):
            parameter.requires_grad_(requires_grad=False)
    return model


def losses_of(
    model: SounDiTTransformer2DModel, variant: Variant, cache: Mapping[str, Tensor], batch: int, seed: int
) -> Any:
    """What `soundit_geo.lab.loop.fit` minimises: velocity prediction, as the preset's stage without its helper.

    Parameters
    ----------
    model : SounDiTTransformer2DModel
        Trained in place.
    variant : Variant
        Whether it is blind.
    cache : mapping of str to torch.Tensor
        See `soundit_geo.lab.preset.caches.cached`.
    batch : int
        Pictures of a step.
    seed : int
        With the step it decides on rows, noises and timesteps, whatever the variant.

    Returns
    -------
    callable
        Takes the generator of a step, gives ``{"loss": ...}``.
    """

    def losses(step: torch.Generator) -> dict[str, Tensor]:
        own = seed * 2**31 + int(torch.randint(2**31, (), generator=step))
        shown = lesson(cache, batch, torch.Generator().manual_seed(own), blind=variant.blind)
        return {"loss": functional.mse_loss(shown.answered_by(model).float(), shown.velocity)}

    return losses


def _cache(shop: Workshop, kind: str) -> dict[str, Tensor]:
    """What a variant learns from, with tokens of its kind."""
    cache = cached(shop)
    if kind == "pooled":
        return {**cache, "tokens": cache["summary"][:, None]}
    if kind == "patches":
        return {**cache, "tokens": patch_tokens(shop)}
    return cache


def _made_of(shop: Workshop) -> str:
    """A hash of the data, and of all that variants are trained and measured with."""
    parts = [shop.preset / part for part in ("vae", "encoder", "scheduler", "judges")]
    files = [file for part in parts for file in sorted(part.rglob("*")) if file.is_file()]
    files = [file for file in files if file.name != "figures.json"]
    files += [
        city / name
        for city in (shop.train, shop.test)
        for name in ("places.json", "pictures.npy", "fbanks.npy")
    ]
    found = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()
