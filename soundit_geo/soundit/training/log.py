"""What a training run says while it runs: ``losses.csv``, tensorboard and a progress bar."""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from soundit_geo.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

    from soundit_geo.soundit.training.config import TrainingConfig

COLUMNS = ("step", "loss", "lr", "grad_norm", "pictures_per_second", "seconds")


class TrainingLog:
    """Losses of a run, one line every few steps.

    A line's loss is the mean over all samples since the line before, of all processes. Lines of a run that was
    stopped after its last checkpoint are taken back.

    Parameters
    ----------
    accelerator : accelerate.Accelerator
        With its tensorboard tracker.
    config : TrainingConfig
        Settings; the log is ``losses.csv`` in its folder.
    step : int
        Steps done before.
    seconds : float
        Time spent before.
    progress : bool
        Whether to show a progress bar.
    """

    def __init__(
        self,
        accelerator: Any,
        config: TrainingConfig,
        *,
        step: int,
        seconds: float,
        progress: bool,
    ) -> None:
        self.accelerator = accelerator
        self.config = config
        self.path = Path(config.out) / "losses.csv"
        self._before, self._began = seconds, time.monotonic()
        self._line = (step, seconds)
        self._loss, self._parts = torch.zeros((), device=accelerator.device), 0
        if accelerator.is_main_process:
            _keep_lines(self.path, step)
        accelerator.init_trackers("tensorboard", init_kwargs={"tensorboard": {"purge_step": step + 1}})
        hidden = not (progress and accelerator.is_main_process)
        self._bar = tqdm(total=config.steps, initial=step, unit="step", desc="train", disable=hidden)

    @property
    def seconds(self) -> float:
        """Time spent on the run so far.

        Returns
        -------
        float
            Seconds, those before a stop counted in.
        """
        return self._before + time.monotonic() - self._began

    def add(self, loss: Tensor) -> None:
        """Take note of a loss without waiting for it.

        Parameters
        ----------
        loss : torch.Tensor
            () mean of one part of a batch.
        """
        self._loss += loss.detach()
        self._parts += 1

    def step(self, step: int, rate: float, norm: Tensor) -> None:
        """Take note of a step, and write a line where one is due.

        Parameters
        ----------
        step : int
            Steps done.
        rate : float
            Learning rate of this step.
        norm : torch.Tensor
            () of the gradient, before clipping.

        Raises
        ------
        TrainingError
            If the loss or its gradient is no longer finite.
        """
        self._bar.update()
        if step % self.config.log_every and step != self.config.steps:
            return
        loss = self.accelerator.reduce(self._loss / self._parts, "mean").item()
        self._loss.zero_()
        self._parts = 0
        if not (math.isfinite(loss) and math.isfinite(norm.item())):
            raise TrainingError(
                f"The loss is {loss} at step {step}, the norm of its gradient {norm.item()}: the run has diverged. "
                "The last checkpoint is from before; "
                "a lower rate, a longer warmup or a smaller clip may help."
            )
        now = self.seconds
        pictures = (step - self._line[0]) * self.config.batch_size / max(now - self._line[1], 1e-9)
        self._line = (step, now)
        self._bar.set_postfix(loss=f"{loss:.4f}", pictures_per_second=f"{pictures:.1f}")
        values = dict(zip(COLUMNS, (step, loss, rate, norm.item(), pictures, now), strict=True))
        if self.accelerator.is_main_process:
            with self.path.open("a", newline="") as file:
                csv.writer(file).writerow([step, *(f"{value:.9g}" for value in list(values.values())[1:])])
        self.accelerator.log({key: value for key, value in values.items() if key != "step"}, step=step)

    def close(self) -> None:
        """End the progress bar."""
        self._bar.close()


def _keep_lines(path: Path, step: int) -> None:
    """Write the header, and of an earlier run only the lines up to a step."""
    lines: list[list[str]] = []
    if path.exists():
        with path.open(newline="") as file:
            lines = [line for line in list(csv.reader(file))[1:] if len(line) == len(COLUMNS)]
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(line for line in lines if int(line[0]) <= step)
    part.replace(path)
