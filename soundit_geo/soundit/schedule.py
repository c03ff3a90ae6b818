"""Diffusers' samplers as the pipeline uses them: which ones fit, and their timesteps."""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from soundit_geo.errors import InputError
from soundit_geo.soundit.inputs import check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from diffusers.schedulers.scheduling_utils import SchedulerMixin
    from torch import Tensor

PREDICTIONS = ("epsilon", "v_prediction", "sample")
"""What a model may be trained to predict; the scheduler's ``prediction_type`` says which."""


def check_scheduler(scheduler: SchedulerMixin) -> None:
    """Check that a sampler belongs to DDPM's noise schedule, and keep it from clipping latents.

    ``clip_sample`` holds predicted *pixels* within ±1, and is on by default in diffusers' DDPM and DDIM. Latents
    have unit variance and reach beyond; so it is switched off, as diffusers' own latent pipelines do.

    Parameters
    ----------
    scheduler : diffusers.SchedulerMixin
        Of the pipeline.

    Raises
    ------
    InputError
        If it is for flow matching or another noise schedule, or expects a predicted variance.
    """
    name, config = type(scheduler).__name__, getattr(scheduler, "config", {})
    prediction, variance = config.get("prediction_type"), config.get("variance_type")
    if prediction not in PREDICTIONS or not hasattr(scheduler, "alphas_cumprod"):
        raise InputError(
            f"{name} (prediction type {prediction!r}) cannot sample this model, which learned to undo DDPM's noise "
            "schedule. Take a sampler of that family, such as DPMSolverMultistepScheduler or DDIMScheduler: "
            "DDIMScheduler.from_config(pipeline.scheduler.config)."
        )
    if str(variance).startswith("learned"):
        raise InputError(
            f"{name} expects a predicted variance (variance_type {variance!r}), and this model predicts "
            "none. Make it with variance_type='fixed_small'."
        )
    if config.get("clip_sample"):
        scheduler.register_to_config(clip_sample=False)


def set_timesteps(
    scheduler: SchedulerMixin,
    steps: int,
    timesteps: Sequence[int] | None,
    sigmas: Sequence[float] | None,
    device: torch.device,
) -> Tensor:
    """Set and give the timesteps of a run.

    Parameters
    ----------
    scheduler : diffusers.SchedulerMixin
        Of the pipeline.
    steps : int
        How many, where neither `timesteps` nor `sigmas` says which.
    timesteps : sequence of int or None
        Falling, within the training's steps.
    sigmas : sequence of float or None
        Falling noise levels, σ = √(1/ᾱ - 1).
    device : torch.device
        Where they are needed.

    Returns
    -------
    torch.Tensor
        (T,), falling; T exceeds `steps` for samplers that look twice at a step.

    Raises
    ------
    InputError
        If `steps` lies outside the training's steps, or the sampler takes no such list.
    """
    most = int(scheduler.config.num_train_timesteps)
    if timesteps is not None and sigmas is not None:
        raise InputError("Both timesteps and sigmas came; give one of them.")
    if timesteps is None and sigmas is None:
        if check_count("num_inference_steps", steps) > most:
            raise InputError(
                f"num_inference_steps is {steps}; the model was trained with {most}, expected at most that."
            )
        scheduler.set_timesteps(steps, device=device)
        return scheduler.timesteps
    name, values = ("timesteps", timesteps) if sigmas is None else ("sigmas", sigmas)
    if name not in inspect.signature(scheduler.set_timesteps).parameters:
        raise InputError(
            f"{type(scheduler).__name__} takes no list of {name}; give num_inference_steps instead, or take a sampler "
            "that does, such as EulerDiscreteScheduler."
        )
    values = list(values or ())
    if not values or any(a <= b for a, b in pairwise(values)):
        raise InputError(f"{name} are {values}; expected one or more falling values.")
    if name == "timesteps" and not 0 <= values[-1] <= values[0] < most:
        raise InputError(f"timesteps are {values}; expected values from {most - 1} down to 0.")
    scheduler.set_timesteps(device=device, **{name: values})
    return scheduler.timesteps


def step_options(scheduler: SchedulerMixin, generator: Any) -> dict[str, Any]:
    """What a sampler's ``step`` takes beside prediction, timestep and latents.

    Parameters
    ----------
    scheduler : diffusers.SchedulerMixin
        Of the pipeline.
    generator : torch.Generator, list of them or None
        Source of the noise that some samplers add at each step.

    Returns
    -------
    dict
        Keyword arguments for ``scheduler.step``.
    """
    return {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
