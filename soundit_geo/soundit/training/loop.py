"""Train SounDiT: latent denoising on cached pairs, on one process or many, resumable at every checkpoint.

Source: DiT (Peebles and Xie, ICCV 2023), whose recipe the paper follows where it says one. The printed loss of
SounDiT is a difference of relevances; see reading 3. Settings: `config`. What a run is fed: `cache`, `stream`.
What it leaves behind: `folder`, `checkpoint`, `log`.
"""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration
from diffusers import DDPMScheduler
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel, compute_snr

from soundit_geo.errors import InputError, SounditWarning
from soundit_geo.soundit.convert import from_dit, is_dit_parameter
from soundit_geo.soundit.training.cache import Cache
from soundit_geo.soundit.training.checkpoint import TrainingState
from soundit_geo.soundit.training.folder import RunFolder
from soundit_geo.soundit.training.log import TrainingLog
from soundit_geo.soundit.training.stream import TIMESTEPS, SampleStream, batches
from soundit_geo.soundit.transformer import SIZES, SounDiTTransformer2DModel
from soundit_geo.strict import refuse_unknown_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from soundit_geo.soundit.training.cache import CacheDescription
    from soundit_geo.soundit.training.config import TrainingConfig


def train(config: TrainingConfig, *, resume: bool = True, progress: bool = True) -> Path:
    """Train a SounDiT, or go on where an earlier run of these settings stopped.

    On the CPU, a run that was stopped and goes on gives the same losses as one that was not, bit for bit.

    Parameters
    ----------
    config : TrainingConfig
        Settings.
    resume : bool, optional
        Whether to go on from the last checkpoint in ``config.out``. If not, checkpoints, logs and samples of an
        earlier run there are deleted.
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    pathlib.Path
        Folder of the trained transformer.

    Raises
    ------
    InputError
        If cache, model and settings do not fit together.
    TrainingError
        If ``config.out`` holds a run of other settings, is full, or the loss is no longer finite.
    """
    _warn_of_lone_process()
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),
        mixed_precision={"float32": "no", "bf16": "bf16"}[config.precision],
        gradient_accumulation_steps=config.accumulation,
        log_with="tensorboard",
        project_config=ProjectConfiguration(project_dir=config.out, logging_dir=config.out),
    )
    _check_shares(config, accelerator.num_processes)
    cache = Cache(config.cache)
    noising = DDPMScheduler(
        TIMESTEPS,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        prediction_type=config.prediction_type,
        clip_sample=False,
    )
    transformer = make_model(config, cache.description)
    groups = parameter_groups(config, transformer)
    optimiser = torch.optim.AdamW(groups, betas=config.betas, weight_decay=config.weight_decay)
    model, stepper = accelerator.prepare(transformer, optimiser)
    average = EMAModel(transformer.parameters(), decay=config.ema, foreach=True)
    state = TrainingState(transformer, average, optimiser)
    folder = RunFolder(config, cache, accelerator, noising)
    folder.begin(state, resume=resume)
    rates = get_scheduler(
        config.schedule,
        optimiser,
        num_warmup_steps=config.warmup,
        num_training_steps=config.steps,
        last_epoch=state.step - 1,
    )
    log = TrainingLog(accelerator, config, step=state.step, seconds=state.seconds, progress=progress)
    stream = SampleStream(cache, config)
    transformer.train()

    for batch in batches(stream, state.step, accelerator.process_index, accelerator.num_processes):
        with accelerator.accumulate(model):
            placed = {key: value.to(accelerator.device, non_blocking=True) for key, value in batch.items()}
            loss = denoising_loss(model, placed, noising, min_snr=config.min_snr)
            accelerator.backward(loss)
            log.add(loss)
            if not accelerator.sync_gradients:
                continue
            norm = accelerator.clip_grad_norm_(transformer.parameters(), config.clip or math.inf)
            stepper.step()
            stepper.zero_grad()
        state.step += 1
        average.step(transformer.parameters())
        log.step(state.step, rates.get_last_lr()[0], norm)
        rates.step()
        state.seconds = log.seconds
        folder.keep(state)

    log.close()
    folder.deliver(state)
    accelerator.end_training()
    return folder.path / "transformer"


def denoising_loss(
    model: Any, batch: Mapping[str, Tensor], noising: Any, *, min_snr: float | None = None
) -> Tensor:
    r"""Mean squared error of the predicted noise, or velocity, of noisy latents.

    .. math::
        z_t = \sqrt{\bar\alpha_t} \, z + \sqrt{1 - \bar\alpha_t} \, \epsilon, \qquad
        L = \mathrm{mean} \, w_t \, \| \hat y(z_t, t, S, e_s, e_c) - y \|^2

    where y is ε, or the velocity √ᾱ ε - √(1 - ᾱ) z. With min-SNR weighting (Hang et al., ICCV 2023, arXiv
    2303.09556) w is ``min(snr, γ) / snr`` for the noise and ``min(snr, γ) / (snr + 1)`` for the velocity; else 1.

    Parameters
    ----------
    model : torch.nn.Module
        `SounDiTTransformer2DModel`, or a wrapper of it.
    batch : mapping of str to torch.Tensor
        From a `SampleStream`, with a batch axis.
    noising : diffusers.DDPMScheduler
        Noise schedule and prediction type.
    min_snr : float, optional
        γ.

    Returns
    -------
    torch.Tensor
        ().
    """
    clean, noise, time = batch["latents"], batch["noise"], batch["timestep"]
    velocity = noising.config.prediction_type == "v_prediction"
    target = noising.get_velocity(clean, noise, time) if velocity else noise  # (B, C, H, W)
    guess = model(
        noising.add_noise(clean, noise, time),
        time,
        batch["tokens"],
        batch["summary"],
        batch["scene"],
        soundscape_missing=batch["soundscape_missing"],
        scene_missing=batch["scene_missing"],
    ).sample
    error = (guess.float() - target).square().mean(dim=(1, 2, 3))  # (B,)
    if min_snr is not None:
        snr = compute_snr(noising, time)  # (B,)
        error = error * snr.clamp(max=min_snr) / (snr + 1 if velocity else snr)
    return error.mean()


def make_model(config: TrainingConfig, cache: CacheDescription) -> SounDiTTransformer2DModel:
    """The model that a run starts from, on the CPU.

    Parameters
    ----------
    config : TrainingConfig
        Names size and start; its seed decides random weights.
    cache : CacheDescription
        Decides the latent's size and the embeddings' widths.

    Returns
    -------
    SounDiTTransformer2DModel
        Float32.

    Raises
    ------
    InputError
        If a setting of the model is unknown, or disagrees with the cache or with the weights.
    WeightsError
        If the weights cannot be read.
    """
    size = config.model.get("size")
    if size is not None and size not in SIZES:
        raise InputError(f"model.size is {size!r}; there are {', '.join(SIZES)}.")
    named = {key: value for key, value in SIZES.get(str(size), {}).items() if key != "sample_size"}
    asked = {**named, **{key: value for key, value in config.model.items() if key != "size"}}
    refuse_unknown_settings(SounDiTTransformer2DModel, asked)
    fit = {
        "sample_size": cache.latent[1],
        "in_channels": cache.latent[0],
        "token_dim": cache.tokens[1],
        "summary_dim": cache.summary_dim,
        "scene_dim": cache.scene_dim,
    }
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        if config.start == "soundit":
            folder = Path(str(config.weights))
            inner = folder / "transformer"
            model = SounDiTTransformer2DModel.from_pretrained(inner if inner.is_dir() else folder)
        elif config.start == "dit":
            model = from_dit(str(config.weights), **{**fit, **asked})
        else:
            model = SounDiTTransformer2DModel(**{**fit, **asked})
    for whose, expected in (("the settings say", asked), ("the cache has", fit)):
        wrong = [
            f"{key} is {model.config[key]}, {whose} {value}"
            for key, value in expected.items()
            if model.config[key] != value
        ]
        if wrong:
            raise InputError(f"The model does not fit: {'; '.join(wrong)}.")
    if cache.latent[1] != cache.latent[2]:
        raise InputError(f"The cache's latents are {cache.latent}; this model takes square ones.")
    if config.gradient_checkpointing:
        model.enable_gradient_checkpointing()
    if config.compile:
        model.compile()
    return model.float()


def parameter_groups(config: TrainingConfig, model: Any) -> list[dict[str, Any]]:
    """What is trained, and at which rate.

    Parameters
    ----------
    config : TrainingConfig
        `rate` for what is new, `old_rate` for what DiT has.
    model : SounDiTTransformer2DModel
        With a rate of 0, its old part is frozen here.

    Returns
    -------
    list of dict
        Parameter groups of an optimiser, what is new first.
    """
    if config.old_rate is None:
        return [{"params": list(model.parameters()), "lr": config.rate, "initial_lr": config.rate}]
    named = list(model.named_parameters())
    new = [parameter for name, parameter in named if not is_dit_parameter(name)]
    old = [parameter for name, parameter in named if is_dit_parameter(name)]
    groups: list[dict[str, Any]] = [{"params": new, "lr": config.rate, "initial_lr": config.rate}]
    if config.old_rate > 0.0:
        return [*groups, {"params": old, "lr": config.old_rate, "initial_lr": config.old_rate}]
    for parameter in old:
        parameter.requires_grad_(requires_grad=False)
    return groups


def _warn_of_lone_process() -> None:
    """Say so where ``accelerate launch --cpu --num_processes 2`` has started one process, as it does without MPI."""
    asked = os.environ.get("ACCELERATE_USE_CPU") == "True" and "MASTER_PORT" in os.environ
    started = ("LOCAL_RANK", "WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
    if asked and not any(name in os.environ for name in started):
        warnings.warn(
            "accelerate launch --cpu starts several processes through MPI only, and has started one. "
            "Without MPI: torchrun --standalone --nproc-per-node 2 -m soundit_geo.cli train soundit CONFIG",
            SounditWarning,
            stacklevel=3,
        )


def _check_shares(config: TrainingConfig, processes: int) -> None:
    parts = processes * config.accumulation
    if config.batch_size % parts:
        raise InputError(
            f"batch_size {config.batch_size} cannot be shared out among {processes} processes with "
            f"{config.accumulation} parts each. Give a multiple of {parts}."
        )
