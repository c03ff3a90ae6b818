"""The folder of a training run: where it begins, goes on and ends.

::

    OUT/
      checkpoints/       see `soundit_geo.soundit.training.checkpoint`
      losses.csv         see `soundit_geo.soundit.training.log`
      tensorboard/       the same, and sample pictures
      samples/           sample pictures
      transformer/       the trained model: averaged weights
      training.json      what made it
      model_index.json   and further folders, where a pipeline was named: OUT is then a pipeline itself
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.errors import TrainingError
from soundit_geo.soundit.training.checkpoint import (
    check_space,
    checkpoints,
    load_checkpoint,
    read_state,
    save_checkpoint,
)
from soundit_geo.soundit.training.samples import SampleSheet, lent_pipeline

if TYPE_CHECKING:
    from soundit_geo.soundit.training.cache import Cache
    from soundit_geo.soundit.training.checkpoint import TrainingState
    from soundit_geo.soundit.training.config import TrainingConfig


class RunFolder:
    """Read and written by a run; the main process alone writes.

    Parameters
    ----------
    config : TrainingConfig
        Settings; `out` is the folder.
    cache : Cache
        What the run is fed.
    accelerator : accelerate.Accelerator
        Of the run.
    noising : diffusers.DDPMScheduler
        The noise that the model is trained on.
    """

    def __init__(self, config: TrainingConfig, cache: Cache, accelerator: Any, noising: Any) -> None:
        self.config = config
        self.cache = cache
        self.accelerator = accelerator
        self.noising = noising
        self.path = Path(config.out)
        self._about = {"config": config.as_dict(), "cache": cache.fingerprint, "versions": _versions()}
        self._sheet: SampleSheet | None = None

    def begin(self, state: TrainingState, *, resume: bool) -> None:
        """Begin the run, or put it back where its last checkpoint was.

        Parameters
        ----------
        state : TrainingState
            Of the first step; changed in place where the run goes on.
        resume : bool
            Whether to go on; if not, an earlier run in the folder is deleted.

        Raises
        ------
        TrainingError
            If the folder holds a run of other settings, cannot be made, or has no space for a checkpoint.
        WeightsError
            If the checkpoint is damaged.
        InputError
            If the config's pipeline does not go with the cache.
        """
        if self.accelerator.is_main_process:
            self._make(over=not resume)
            check_space(self.path / "checkpoints", state)
        self.accelerator.wait_for_everyone()
        found = checkpoints(self.path / "checkpoints")
        if found:
            self._check_same_run(read_state(found[-1]))
            load_checkpoint(found[-1], state)
        if self.config.pipeline is not None and self.accelerator.is_main_process:
            lent = lent_pipeline(self.config, self.cache, state.model, self.noising, whole=False)
            lent.vae.to(self.accelerator.device)
            self._sheet = SampleSheet(self.config, self.cache, lent)

    def keep(self, state: TrainingState) -> None:
        """Write a checkpoint and draw samples, where they are due.

        Parameters
        ----------
        state : TrainingState
            After a step.

        Raises
        ------
        TrainingError
            If a checkpoint cannot be written.
        """
        if not self.accelerator.is_main_process:
            return
        config = self.config
        if state.step % config.save_every == 0 or state.step == config.steps:
            save_checkpoint(self.path / "checkpoints", state, self._about, config.keep)
        if self._sheet is not None and config.sample_every and state.step % config.sample_every == 0:
            self._draw(self._sheet, state)

    def deliver(self, state: TrainingState) -> None:
        """Write the averaged weights as a model, or as a whole pipeline, and what made them.

        Parameters
        ----------
        state : TrainingState
            After the last step; its model has the averaged weights afterwards.
        """
        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:
            return
        model: Any = state.model
        state.average.copy_to(model.parameters())
        model.eval()
        if self.config.pipeline is None:
            model.save_pretrained(self.path / "transformer")
        else:
            lent = lent_pipeline(self.config, self.cache, model, self.noising, whole=True)
            lent.save_pretrained(self.path)
        for file in self.path.glob("*/*.safetensors"):
            file.chmod(0o644)  # diffusers writes weights for their owner alone
        about = {
            **self._about,
            "rows": len(self.cache),
            "steps": state.step,
            "pictures_seen": state.step * self.config.batch_size,
            "seconds": state.seconds,
            "seed": self.config.seed,
            "processes": self.accelerator.num_processes,
            "parameters": sum(value.numel() for value in model.parameters()),
            "trained_parameters": sum(value.numel() for value in model.parameters() if value.requires_grad),
        }
        part = self.path / ".training.json.part"
        part.write_text(json.dumps(about, indent=2) + "\n")
        part.replace(self.path / "training.json")

    def _make(self, *, over: bool) -> None:
        """Make the folder; delete an earlier run where the new one starts over."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"The folder {self.path} cannot be made ({error}).") from error
        if over:
            for name in ("checkpoints", "tensorboard", "samples"):
                shutil.rmtree(self.path / name, ignore_errors=True)
            for name in ("losses.csv", "training.json"):
                (self.path / name).unlink(missing_ok=True)

    def _check_same_run(self, about: dict[str, Any]) -> None:
        changed = self.config.differences(about["config"])
        if about["cache"] != self.cache.fingerprint:
            changed.append("the cache held other rows")
        if changed:
            raise TrainingError(
                f"{self.path} holds a run of other settings: {'; '.join(changed)}. Set them back to go on, name "
                "another folder with --out, or start over with --no-resume."
            )

    def _draw(self, sheet: SampleSheet, state: TrainingState) -> None:
        """Draw with the averaged weights; the trained ones are put back as they were."""
        parameters = list(state.model.parameters())
        state.average.store(parameters)
        state.average.copy_to(parameters)
        picture = sheet.draw()
        state.average.restore(parameters)
        (self.path / "samples").mkdir(exist_ok=True)
        picture.save(self.path / "samples" / f"step-{state.step:08d}.png")
        for tracker in self.accelerator.trackers:
            tracker.log_images({"samples": np.asarray(picture)[None]}, step=state.step, dataformats="NHWC")


def _versions() -> dict[str, str]:
    packages = ("soundit-geo", "torch", "diffusers", "accelerate", "safetensors")
    return {name: importlib.metadata.version(name) for name in packages}
