"""How fast the generator is, beside named peers: the same inputs, interleaved, in one run.

No absolute time is a result; every figure is a ratio, the median over rounds of the two times of that round.
`docs/performance.md` explains how the ratios come about.
"""

from __future__ import annotations

import platform
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers import DDIMScheduler, DiTTransformer2DModel, PixArtTransformer2DModel
from tqdm import tqdm

from soundit_geo.errors import InputError
from soundit_geo.lab.literal import literal_forward
from soundit_geo.soundit.transformer import SIZES, Conditions, SounDiTTransformer2DModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

PEAK = {"NVIDIA H100": 989e12, "NVIDIA H200": 989e12, "NVIDIA A100": 312e12}
"""Dense bfloat16 matrix peak of cards, FLOP/s, by the start of their name (data sheets, SXM models)."""


_CARDS = " and cuda" if torch.cuda.is_available() else ""


@dataclass(frozen=True)
class Setting:
    """What is measured, and on what.

    Parameters
    ----------
    batch, length : int
        B, and L soundscape tokens.
    device, dtype : str, torch.dtype
        Where, and in what precision.
    compiled : bool
        Whether all contestants go through ``torch.compile``.
    """

    batch: int = 8
    length: int = 12
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    compiled: bool = False

    def __post_init__(self) -> None:
        """Refuse a device that is not there.

        Raises
        ------
        InputError
            If the device is unknown or absent.
        """
        if self.device != "cpu" and not (self.device.startswith("cuda") and torch.cuda.is_available()):
            raise InputError(f"Device {self.device!r} is not there; this machine has cpu{_CARDS}.")

    def randn(self, *shape: int) -> Tensor:
        """Random numbers where they are needed.

        Parameters
        ----------
        *shape : int
            Shape.

        Returns
        -------
        torch.Tensor
            Of unit variance.
        """
        return torch.randn(shape, device=self.device, dtype=self.dtype)

    def place(self, model: Any) -> Any:
        """A model where it is needed, ready to predict.

        Parameters
        ----------
        model : torch.nn.Module
            The model.

        Returns
        -------
        torch.nn.Module
            The same.
        """
        model = model.eval().to(self.device)
        return model if self.dtype == torch.float32 else model.to(self.dtype)


def precision(name: str) -> torch.dtype:
    """A floating-point type by name.

    Parameters
    ----------
    name : str
        ``"float32"``, ``"bfloat16"`` or ``"float16"``, or ``"fp32"``, ``"bf16"``, ``"fp16"``.

    Returns
    -------
    torch.dtype
        The type.

    Raises
    ------
    InputError
        If it is another name.
    """
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    short = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
    if short.get(name, name) not in known:
        raise InputError(f"Precision {name!r} is unknown; there are {', '.join((*known, *short))}.")
    return known[short.get(name, name)]


def interleaved(
    runs: Mapping[str, Callable[[], Any]], rounds: int, device: str = "cpu", warmup: int = 2
) -> dict[str, list[float]]:
    """Time several functions turn by turn, each round in another order.

    Parameters
    ----------
    runs : mapping of str to callable
        What to time.
    rounds : int
        How often.
    device : str, optional
        Waited for before each clock reading where it is a GPU.
    warmup : int, optional
        Rounds beforehand that do not count.

    Returns
    -------
    dict of str to list of float
        Seconds per round.
    """
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for turn in tqdm(range(-warmup, rounds), desc="rounds", leave=False):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            wait()
            start = time.perf_counter()
            runs[name]()
            wait()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], ours: str, theirs: str) -> dict[str, float]:
    """Ratio of two contestants.

    Parameters
    ----------
    seconds : mapping of str to list of float
        From `interleaved`.
    ours, theirs : str
        Names.

    Returns
    -------
    dict of str to float
        ``ratio``, the median over rounds, and the quartiles ``low`` and ``high``.
    """
    each = [a / b for a, b in zip(seconds[ours], seconds[theirs], strict=True)]
    low, middle, high = statistics.quantiles(each, n=4) if len(each) > 1 else each * 3
    return {"ratio": round(middle, 4), "low": round(low, 4), "high": round(high, 4)}


def sizes() -> dict[str, dict[str, int]]:
    """Parameters of every named size.

    Returns
    -------
    dict of str to dict of str to int
        Size to ``parameters``, of which ``dit`` stand in DiT too (without its label table) and ``new`` do not.
    """
    from soundit_geo.soundit.convert import is_dit_parameter

    table = {}
    for name in SIZES:
        with torch.device("meta"):
            model = SounDiTTransformer2DModel.of_size(name)
        counts = {key: value.numel() for key, value in model.named_parameters()}
        old = sum(count for key, count in counts.items() if is_dit_parameter(key))
        total = sum(counts.values())
        table[name] = {"parameters": total, "dit": old, "new": total - old}
    return table


def bench_transformer(
    size: str = "XL/2", setting: Setting = Setting(), *, rounds: int = 10, blocks: int | None = None
) -> dict[str, Any]:
    """One denoising step of SounDiT beside DiT and PixArt-α of the same size, conditions prepared.

    Parameters
    ----------
    size : str, optional
        Key of `SIZES`, at 32 × 32 latents, that is 256 tokens.
    setting : Setting, optional
        Circumstances. PixArt attends to the soundscape tokens as well.
    rounds : int, optional
        Rounds.
    blocks : int, optional
        Blocks of all models, in place of the size's own number: blocks are alike, and more rounds fit into the same
        time.

    Returns
    -------
    dict
        Ratios, median seconds for orientation, and the circumstances.
    """
    eight, two = _soundit(size, 8, setting, blocks), _soundit(size, 2, setting, blocks)
    dit, pixart = _dit(size, setting, blocks), _pixart(size, setting, blocks)
    torch.manual_seed(0)
    latent, sound = (
        setting.randn(setting.batch, 4, 32, 32),
        setting.randn(setting.batch, setting.length, 1024),
    )
    labels = torch.zeros(setting.batch, dtype=torch.long, device=setting.device)
    step = torch.tensor(500, device=setting.device)
    with torch.inference_mode():
        of_eight = eight.prepare(_conditions(eight, sound))
        of_two = two.prepare(_conditions(two, sound))
    if setting.compiled:
        eight, two, dit, pixart = (torch.compile(model) for model in (eight, two, dit, pixart))
    runs: dict[str, Callable[[], Any]] = {
        "soundit": lambda: eight(latent, step, prepared=of_eight),
        "soundit, M = 2": lambda: two(latent, step, prepared=of_two),
        "dit": lambda: dit(latent, timestep=step.expand(setting.batch), class_labels=labels),
        "pixart": lambda: pixart(latent, sound, timestep=step.expand(setting.batch), added_cond_kwargs={}),
    }
    with torch.inference_mode():
        seconds = interleaved(runs, rounds, setting.device)
    return {
        "size": size,
        "blocks": blocks or SIZES[size]["depth"],
        "soundit / dit": ratio(seconds, "soundit", "dit"),
        "soundit / pixart": ratio(seconds, "soundit", "pixart"),
        "M = 8 / M = 2": ratio(seconds, "soundit", "soundit, M = 2"),
        **_circumstances(seconds, setting, rounds),
        **({} if blocks else _utilisation(size, setting, statistics.median(seconds["soundit"]))),
    }


def bench_sampling(
    size: str = "S/2",
    setting: Setting = Setting(),
    *,
    steps: int = 20,
    rounds: int = 3,
    blocks: int | None = None,
) -> dict[str, Any]:
    """A guided sampling run beside the same run by the equations as printed.

    The peer computes all M = 8 experts, SLRCM's matrix, and keys, values and scene parts at every step, in two
    passes per step; SounDiT prepares its conditions within the timed run, once. A second, kinder peer never
    builds SLRCM's matrix.

    Parameters
    ----------
    size : str, optional
        Key of `SIZES`, at 32 × 32 latents.
    setting : Setting, optional
        Circumstances.
    steps, rounds : int, optional
        Steps of DDIM per run, and rounds.
    blocks : int, optional
        Blocks of the model, in place of the size's own number: blocks are alike, and a whole run of XL/2 takes
        half an hour on two cores.

    Returns
    -------
    dict
        The ratios, the largest difference of the two results, and the circumstances.
    """
    model = _soundit(size, 8, setting, blocks)
    torch.manual_seed(0)
    noise, sound = setting.randn(setting.batch, 4, 32, 32), setting.randn(setting.batch, setting.length, 1024)
    both, nothing = _conditions(model, sound), _conditions(model, sound, missing=True)
    joined = Conditions(
        tokens=torch.cat([both.tokens, nothing.tokens]),
        summary=torch.cat([both.summary, nothing.summary]),
        scene=torch.cat([both.scene, nothing.scene]),
        mu=1.0,
    )
    ours: Any = torch.compile(model) if setting.compiled else model
    theirs = torch.compile(literal_forward) if setting.compiled else literal_forward

    def run_ours(steps: int = steps) -> Tensor:
        prepared = model.prepare(joined)

        def guess(latent: Tensor, step: Tensor) -> Tensor:
            full, none = ours(latent.repeat(2, 1, 1, 1), step, prepared=prepared).sample.chunk(2)
            return none + 4.0 * (full - none)

        return _denoise(noise, guess, steps)

    def run_theirs(steps: int = steps, *, factored: bool = False) -> Tensor:
        def guess(latent: Tensor, step: Tensor) -> Tensor:
            every = step.expand(setting.batch).to(setting.device)
            full, none = (theirs(model, latent, every, one, factored=factored) for one in (both, nothing))
            return none + 4.0 * (full - none)

        return _denoise(noise, guess, steps)

    runs: dict[str, Callable[[], Any]] = {
        "soundit": run_ours,
        "literal": run_theirs,
        "literal, factored": lambda: run_theirs(factored=True),
    }
    with torch.inference_mode():
        difference = float((run_ours(2) - run_theirs(2)).abs().max())  # and warm
        seconds = interleaved(runs, rounds, setting.device, warmup=0)
    return {
        "size": size,
        "blocks": len(model.blocks),
        "soundit / literal": ratio(seconds, "soundit", "literal"),
        "soundit / literal, factored": ratio(seconds, "soundit", "literal, factored"),
        "largest difference of the latents after two steps": difference,
        "steps": steps,
        **_circumstances(seconds, setting, rounds),
        **(
            {} if blocks else _utilisation(size, setting, statistics.median(seconds["soundit"]) / (2 * steps))
        ),
    }


def _denoise(noise: Tensor, guess: Callable[[Tensor, Tensor], Tensor], steps: int) -> Tensor:
    scheduler = DDIMScheduler(beta_schedule="linear", clip_sample=False)
    scheduler.set_timesteps(steps)
    latent = noise
    for step in scheduler.timesteps:
        latent = scheduler.step(guess(latent, step), int(step), latent).prev_sample
    return latent


def _soundit(size: str, experts: int, setting: Setting, blocks: int | None = None) -> Any:
    """Random weights with every gate open, so that nothing is multiplied by zero."""
    torch.manual_seed(0)
    model = SounDiTTransformer2DModel.of_size(
        size,
        sample_size=32,
        experts=experts,
        experts_per_sample=2,
        content_rank=64,
        expert_rank=64,
        **({} if blocks is None else {"depth": blocks}),
    )
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return setting.place(model)


def _dit(size: str, setting: Setting, blocks: int | None = None) -> Any:
    shape = SIZES[size]
    model = DiTTransformer2DModel(
        num_attention_heads=shape["heads"],
        attention_head_dim=shape["width"] // shape["heads"],
        in_channels=4,
        out_channels=4,
        num_layers=blocks or shape["depth"],
        sample_size=32,
        patch_size=2,
    )
    return setting.place(model)


def _pixart(size: str, setting: Setting, blocks: int | None = None) -> Any:
    shape = SIZES[size]
    model = PixArtTransformer2DModel(
        num_attention_heads=shape["heads"],
        attention_head_dim=shape["width"] // shape["heads"],
        in_channels=4,
        out_channels=4,
        num_layers=blocks or shape["depth"],
        cross_attention_dim=shape["width"],
        caption_channels=1024,
        sample_size=32,
        patch_size=2,
        use_additional_conditions=False,
    )
    return setting.place(model)


def _conditions(model: Any, sound: Tensor, *, missing: bool = False) -> Conditions:
    absent = torch.full((len(sound),), missing, device=sound.device)
    scene = torch.randn(len(sound), 1024, generator=torch.Generator().manual_seed(1)).to(sound)
    given: Conditions = model.conditions(
        sound, sound.mean(dim=1), scene, soundscape_missing=absent, scene_missing=absent
    )
    return given


def _circumstances(seconds: Mapping[str, list[float]], setting: Setting, rounds: int) -> dict[str, Any]:
    on_gpu = setting.device.startswith("cuda")
    return {
        "median seconds": {name: round(statistics.median(value), 4) for name, value in seconds.items()},
        "rounds": rounds,
        "batch": setting.batch,
        "soundscape tokens": setting.length,
        "compiled": setting.compiled,
        "dtype": str(setting.dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _utilisation(size: str, setting: Setting, seconds: float) -> dict[str, float]:
    """Share of the card's matrix peak (MFU), for known cards; two operations per multiplication."""
    if not setting.device.startswith("cuda") or setting.dtype == torch.float32:
        return {}
    peak = next((peak for name, peak in PEAK.items() if torch.cuda.get_device_name().startswith(name)), None)
    if peak is None:
        return {}
    depth, width, heads = (SIZES[size][key] for key in ("depth", "width", "heads"))
    rank, chosen, tokens = 64, 2, 256
    own = 12 * width**2 + 2 * tokens * width + 2 * width * rank
    heard = chosen * (width * rank + rank * heads * setting.length) + heads * setting.length * width
    return {"mfu": round(2 * setting.batch * tokens * depth * (own + heard) / seconds / peak, 4)}
