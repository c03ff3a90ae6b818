"""Checkpoints of a training run: whole folders of safetensors and JSON, without a single pickle.

::

    checkpoints/step-00002000/
      weights.safetensors      the weights being trained, by name
      average.safetensors      their moving average, by name
      moments.safetensors      AdamW's state, "exp_avg/<name>", "exp_avg_sq/<name>", "step/<name>"
      state.json               step, seconds, settings, hash of the cache, versions

Everything else in a run (order of rows, noise, learning rate, the average's warm-up) is a function of the step.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from soundit_geo.errors import TrainingError, WeightsError
from soundit_geo.weights import check_layout, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn


@dataclass
class TrainingState:
    """What changes from step to step.

    Parameters
    ----------
    model : torch.nn.Module
        The weights being trained.
    average : diffusers.training_utils.EMAModel
        Their moving average.
    optimiser : torch.optim.Optimizer
        AdamW over those weights that are trained.
    step : int
        Steps done.
    seconds : float
        Time spent.
    """

    model: nn.Module
    average: Any
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def files(self) -> dict[str, dict[str, Tensor]]:
        """Tensors of a checkpoint.

        Returns
        -------
        dict of str to dict of str to torch.Tensor
            Stem of the file to its tensors.
        """
        names = dict(self.model.named_parameters())
        moments = {
            f"{kind}/{name}": value
            for name, parameter in names.items()
            for kind, value in self.optimiser.state.get(parameter, {}).items()
        }
        return {
            "weights": {name: parameter.detach() for name, parameter in names.items()},
            "average": dict(zip(names, self.average.shadow_params, strict=True)),
            "moments": moments,
        }


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints of a run.

    Parameters
    ----------
    folder : pathlib.Path
        ``checkpoints`` of the run; may be absent.

    Returns
    -------
    list of pathlib.Path
        Sorted by step.
    """
    return sorted(path for path in folder.glob("step-*") if path.suffix != ".part")


def check_space(folder: Path, state: TrainingState) -> None:
    """Check that another checkpoint fits on the disk.

    Parameters
    ----------
    folder : pathlib.Path
        ``checkpoints`` of the run; made where it is absent.
    state : TrainingState
        What will be written.

    Raises
    ------
    TrainingError
        If it does not fit, or the folder cannot be made.
    """
    parameters = list(state.model.parameters())
    needed = 2 * sum(parameter.nbytes for parameter in parameters)  # weights, average
    needed += 2 * sum(parameter.nbytes for parameter in parameters if parameter.requires_grad)  # moments
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise TrainingError(f"The folder {folder} cannot be made ({error}).") from error
    if needed > free:
        raise TrainingError(
            f"A checkpoint of {needed / 1e9:.3f} GB does not fit into {folder}, where {free / 1e9:.3f} GB are left. "
            "Make space and run the same command again; it goes on from the last checkpoint."
        )


def save_checkpoint(folder: Path, state: TrainingState, about: Mapping[str, Any], keep: int) -> Path:
    """Write a checkpoint in one rename, then remove the oldest.

    Parameters
    ----------
    folder : pathlib.Path
        ``checkpoints`` of the run.
    state : TrainingState
        What is kept.
    about : mapping
        Further entries of ``state.json``.
    keep : int
        How many checkpoints remain.

    Returns
    -------
    pathlib.Path
        The new one.

    Raises
    ------
    TrainingError
        If there is not enough space, or the folder cannot be written. Older checkpoints are then untouched.
    """
    target = folder / f"step-{state.step:08d}"
    part = target.with_suffix(".part")
    check_space(folder, state)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for name, group in state.files().items():
            save_file({key: value.contiguous() for key, value in group.items()}, part / f"{name}.safetensors")
        written = {"step": state.step, "seconds": state.seconds, **about}
        (part / "state.json").write_text(json.dumps(written, indent=2) + "\n")
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
        for old in checkpoints(folder)[:-keep]:
            old.replace(old.with_suffix(".part"))
        for rest in folder.glob("*.part"):
            shutil.rmtree(rest)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise TrainingError(
            f"The checkpoint {target} cannot be written ({error}). Mend that and run the same command again."
        ) from error
    return target


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says about itself.

    Parameters
    ----------
    checkpoint : pathlib.Path
        A folder from `checkpoints`.

    Returns
    -------
    dict
        ``state.json``.

    Raises
    ------
    WeightsError
        If it is damaged.
    """
    try:
        state = json.loads((checkpoint / "state.json").read_text())
        return {**state, **{key: state[key] for key in ("step", "seconds", "config", "cache")}}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{checkpoint} is no intact checkpoint ({error}). Remove it to go on.") from error


def load_checkpoint(checkpoint: Path, state: TrainingState) -> None:
    """Put a run back where it was.

    Parameters
    ----------
    checkpoint : pathlib.Path
        A folder from `checkpoints`.
    state : TrainingState
        Of the same model and settings; changed in place.

    Raises
    ------
    WeightsError
        If a file is damaged or of another model.
    """
    parameters = dict(state.model.named_parameters())
    average = dict(zip(parameters, state.average.shadow_params, strict=True))
    for name, targets in (("weights", parameters), ("average", average)):
        values = load_state_dict(checkpoint / f"{name}.safetensors")
        check_layout(values, targets)
        with torch.no_grad():
            for key, target in targets.items():
                target.copy_(values[key])
    moments = load_state_dict(checkpoint / "moments.safetensors")
    names = {parameter: name for name, parameter in parameters.items()}
    trained = [parameter for group in state.optimiser.param_groups for parameter in group["params"]]
    kinds = {"step": torch.zeros(()), "exp_avg": None, "exp_avg_sq": None}
    check_layout(
        moments,
        {
            f"{kind}/{names[one]}": one if like is None else like
            for kind, like in kinds.items()
            for one in trained
        },
    )
    saved = {
        place: {kind: moments[f"{kind}/{names[one]}"] for kind in kinds} for place, one in enumerate(trained)
    }
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": saved, "param_groups": groups})
    about = read_state(checkpoint)
    state.step, state.seconds = int(about["step"]), float(about["seconds"])
    state.average.optimization_step = state.step
