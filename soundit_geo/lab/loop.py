"""One training loop for every network of the preset: resumable, logged, with an average of the weights."""

from __future__ import annotations

import csv
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from soundit_geo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Parameters
    ----------
    steps : int
        Optimiser steps in all.
    rate : float
        Learning rate of AdamW at its highest: linear warm-up, then a half cosine down to a twentieth.
    warmup : int
        Steps of warm-up.
    decay : float
        Weight decay.
    average : float
        Decay of the exponential moving average of the weights.
    clip : float
        Largest norm of the gradient.
    every : float
        Seconds between two checkpoints.
    mixed : bool
        Multiply in bfloat16; weights, their averages and losses stay in single precision.
    """

    steps: int
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 0.01
    average: float = 0.999
    clip: float = 1.0
    every: float = 90.0
    mixed: bool = False

    def rate_at(self, step: int) -> float:
        """Learning rate of a step.

        Parameters
        ----------
        step : int
            Counted from 0.

        Returns
        -------
        float
            The rate.
        """
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        part = (step - self.warmup) / max(1, self.steps - self.warmup)
        cosine = 0.5 * (1.0 + float(torch.cos(torch.tensor(part * torch.pi))))
        return self.rate * (0.05 + 0.95 * cosine)


def fit(
    model: nn.Module,
    losses: Callable[[torch.Generator], dict[str, Tensor]],
    plan: Plan,
    folder: Path,
    name: str,
    origin: str = "",
) -> Any:
    """Train a module, or go on where an earlier run stopped.

    Parameters
    ----------
    model : torch.nn.Module
        Trained in place.
    losses : callable
        Takes the generator that every random choice of a step should come from; returns named losses,
        of which ``"loss"`` is minimised and all are logged.
    plan : Plan
        Length and rates.
    folder : pathlib.Path
        Receives ``<name>.pt`` (checkpoint) and ``<name>.csv`` (losses).
    name : str
        Name of the stage.
    origin : str, optional
        What the model's first weights are; nothing where they are random.

    Returns
    -------
    torch.nn.Module
        The averaged weights, in evaluation mode.

    Raises
    ------
    InputError
        If the checkpoint to go on from began with other weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"{name}.pt"
    optimiser = torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=plan.rate,
        weight_decay=plan.decay,
        betas=(0.9, 0.99),
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(plan.average), use_buffers=False)
    start, seconds = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        begun = state.get("origin", "")
        if begun != origin:
            raise InputError(
                f"{checkpoint} began with {begun or 'random weights'}, this run with {origin or 'random weights'}. "
                "Start from the same preset, or train in another folder."
            )
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start, seconds = state["step"], state["seconds"]
    began = saved = time.monotonic()

    def save(step: int) -> None:
        state = {
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "origin": origin,
            "seconds": seconds + time.monotonic() - began,
        }
        torch.save(state, checkpoint.with_suffix(".part"))
        checkpoint.with_suffix(".part").replace(checkpoint)

    model.train()
    fields: dict[str, float] = {}
    with (
        (folder / f"{name}.csv").open("a", newline="") as file,
        tqdm(total=plan.steps, initial=start, desc=name, mininterval=5.0) as bar,
    ):
        writer = csv.writer(file)
        for step in range(start, plan.steps):
            for group in optimiser.param_groups:
                group["lr"] = plan.rate_at(step)
            with torch.autocast("cpu", torch.bfloat16, enabled=plan.mixed):
                parts = losses(torch.Generator().manual_seed(step))
            optimiser.zero_grad(set_to_none=True)
            parts["loss"].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
            optimiser.step()
            average.update_parameters(model)
            for key, value in parts.items():
                now = value.item()
                fields[key] = 0.98 * fields.get(key, now) + 0.02 * now
            bar.update()
            bar.set_postfix({key: f"{value:.4f}" for key, value in fields.items()}, refresh=False)
            if step % 50 == 49:
                writer.writerow([step + 1, *(f"{key}={value:.5f}" for key, value in fields.items())])
                file.flush()
            if time.monotonic() - saved > plan.every:
                save(step + 1)
                saved = time.monotonic()
    if start < plan.steps:
        save(plan.steps)
    return average.module.eval()
