"""Settings of a training run: one frozen value, read from YAML and checked before anything is loaded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from math import inf
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from soundit_geo.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine"]

ROUNDING_ONLY = frozenset(
    {
        "cache",  # the folder may move; its contents are compared by hash
        "out",
        "pipeline",
        "accumulation",
        "gradient_checkpointing",
        "compile",
        "workers",
        "log_every",
        "save_every",
        "keep",
        "sample_every",
        "samples",
        "sample_steps",
        "sample_guidance",
    }
)
"""Settings that may change when a run goes on: the losses stay the same, but for rounding."""


@dataclass(frozen=True)
class TrainingConfig:
    """What to train, on what, how long and how fast.

    Parameters
    ----------
    cache : str
        Folder of a training cache.
    out : str
        Receives checkpoints, logs and the trained model.
    pipeline : str, optional
        Preset, folder or hub id of a pipeline that lends autoencoder and encoder: for sample pictures, and so
        that `out` becomes a whole pipeline.
    model : dict
        ``size``, a key of `soundit_geo.soundit.transformer.SIZES`, and further keys of the transformer's
        configuration. What the cache decides (size of the latent, widths of the embeddings) need not be said.
    start : {"fresh", "dit", "soundit"}
        Random weights, DiT's weights for the part that DiT has, or a trained SounDiT.
    weights : str, optional
        DiT's checkpoint or SounDiT's folder.
    old_rate : float, optional
        Learning rate of the part that DiT has: 0 freezes it; as the rest by default.
    prediction_type : {"epsilon", "v_prediction"}
        What the model predicts: the noise, or the velocity.
    min_snr : float, optional
        γ of min-SNR weighting; none by default.
    drop_both : float
        Probability that a sample loses both conditions.
    drop_soundscape, drop_scene : float
        Probability, independent of each other, that a sample which kept both loses the one or the other.
    steps : int
        Steps of the optimiser in all.
    batch_size : int
        Samples per step, over all processes and accumulated parts.
    accumulation : int
        Parts of a batch that are sent through the model one after the other.
    rate, weight_decay : float
        Of AdamW.
    betas : tuple of float
        Of AdamW.
    schedule : {"constant", "constant_with_warmup", "linear", "cosine"}
        How the rate falls after the warm-up.
    warmup : int
        Steps until the rate is reached.
    clip : float, optional
        Largest norm of the gradient; not clipped by default.
    ema : float
        Decay of the moving average of the weights, reached through ``(1 + step) / (10 + step)``; 0 keeps none.
    precision : {"float32", "bf16"}
        Of the arithmetic; weights stay float32.
    gradient_checkpointing, compile : bool
        Compute the blocks twice to save memory; use ``torch.compile``.
    seed : int
        Of the first weights, of the order of the rows and of every random choice of a sample.
    order : {"rows", "shards"}
        Rows in random order, or shards in random order and rows within each, for caches on slow disks.
    workers : int
        Processes that read the cache; 0 reads in the training process.
    log_every, save_every : int
        Steps between two lines of the log, and between two checkpoints: a multiple of the former.
    keep : int
        Checkpoints that are kept.
    sample_every : int
        Steps between two sheets of sample pictures; 0 draws none.
    samples, sample_steps : int
        Pictures of a sheet, and steps of the sampler.
    sample_guidance : float
        Guidance scale of the samples.

    Raises
    ------
    InputError
        If a value is out of its range, or two disagree.
    """

    cache: str
    out: str
    pipeline: str | None = None
    model: dict[str, Any] = field(default_factory=lambda: {"size": "mini"})
    start: Literal["fresh", "dit", "soundit"] = "fresh"
    weights: str | None = None
    old_rate: float | None = None
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"
    min_snr: float | None = None
    drop_both: float = 0.1
    drop_soundscape: float = 0.1
    drop_scene: float = 0.1
    steps: int = 100_000
    batch_size: int = 256
    accumulation: int = 1
    rate: float = 1e-4
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Schedule = "constant"
    warmup: int = 0
    clip: float | None = 1.0
    ema: float = 0.9999
    precision: Literal["float32", "bf16"] = "float32"
    gradient_checkpointing: bool = False
    compile: bool = False
    seed: int = 0
    order: Literal["rows", "shards"] = "rows"
    workers: int = 0
    log_every: int = 50
    save_every: int = 1000
    keep: int = 2
    sample_every: int = 0
    samples: int = 8
    sample_steps: int = 20
    sample_guidance: float = 4.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        at_least_one = ("steps", "batch_size", "accumulation", "log_every", "save_every", "keep", "samples")
        shares = ("drop_both", "drop_soundscape", "drop_scene", "ema")
        rules = {
            **{name: ("at least 1", getattr(self, name) >= 1) for name in (*at_least_one, "sample_steps")},
            **{name: ("at least 0", getattr(self, name) >= 0) for name in ("warmup", "workers", "seed")},
            **{name: ("between 0 and 1", 0.0 <= getattr(self, name) <= 1.0) for name in shares},
            "rate": ("above 0", 0.0 < self.rate < inf),
            "weight_decay": ("at least 0", self.weight_decay >= 0.0),
            "sample_every": ("at least 0", self.sample_every >= 0),
            "betas": ("two numbers from 0 to below 1", all(0.0 <= beta < 1.0 for beta in self.betas)),
            "clip": ("above 0, or none", self.clip is None or self.clip > 0.0),
            "min_snr": ("above 0, or none", self.min_snr is None or self.min_snr > 0.0),
            "old_rate": ("at least 0, or none", self.old_rate is None or self.old_rate >= 0.0),
        }
        for name, (expected, holds) in rules.items():
            if not holds:
                raise InputError(f"{name} is {getattr(self, name)!r}; expected {expected}.")
        if self.save_every % self.log_every:
            raise InputError(
                f"save_every is {self.save_every}; expected a multiple of log_every, {self.log_every}, so that a run "
                "which goes on writes the same lines."
            )
        if self.batch_size % self.accumulation:
            raise InputError(
                f"batch_size {self.batch_size} cannot be shared out among {self.accumulation} parts (accumulation)."
            )
        if (self.start == "fresh") != (self.weights is None):
            raise InputError(
                f"start is {self.start!r} and weights {self.weights!r}; 'fresh' goes without weights, "
                "'dit' and 'soundit' name them."
            )
        if self.start == "fresh" and self.old_rate is not None:
            raise InputError(
                "old_rate is for a model that starts from weights; a fresh one has no old part. Leave it out."
            )
        if self.sample_every and self.pipeline is None:
            raise InputError(
                "sample_every needs a pipeline that lends its autoencoder. Name one, or set sample_every to 0."
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they stand in a YAML or JSON file.

        Returns
        -------
        dict
            One entry per setting.
        """
        return {**asdict(self), "model": dict(self.model), "betas": list(self.betas)}

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Name the settings in which another run would give other losses.

        Parameters
        ----------
        other : mapping
            `as_dict` of the other run.

        Returns
        -------
        list of str
            One phrase per setting, ``"rate was 0.0001, is 0.001"``.
        """
        mine = self.as_dict()
        free = ROUNDING_ONLY | ({"steps"} if self.schedule.startswith("constant") else set())
        return [
            f"{name} was {other.get(name)!r}, is {value!r}"
            for name, value in mine.items()
            if name not in free and other.get(name) != value
        ]


def configs() -> list[str]:
    """Names of the configs that are packed with the library.

    Returns
    -------
    list of str
        Sorted.
    """
    return sorted(path.stem for path in _config_folder().glob("*.yaml"))


def load_config(source: str | Path, changes: Sequence[str] = ()) -> TrainingConfig:
    """Read settings from a YAML file.

    Parameters
    ----------
    source : str or path
        A file, or the name of a packed config, see `configs`. Paths inside it count from the working directory.
    changes : sequence of str, optional
        ``key=value``, laid over the file; the value is YAML, and ``model.experts=4`` reaches into the model.

    Returns
    -------
    TrainingConfig
        Checked.

    Raises
    ------
    MissingFileError
        If there is no such file or name.
    InputError
        If it is no YAML mapping, a key is unknown or absent, or a value is of the wrong type or range.
    """
    path = _config_folder() / f"{source}.yaml" if str(source) in configs() else Path(source)
    if not path.is_file():
        raise MissingFileError(
            f"Config {str(source)!r} is neither a file nor a packed one ({', '.join(configs())})."
        )
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no readable YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds {type(values).__name__}; expected a mapping of settings.")
    for change in changes:
        _change(values, change)
    return config_from(values)


def config_from(values: Mapping[str, Any]) -> TrainingConfig:
    """Check plain values and make settings of them.

    Parameters
    ----------
    values : mapping
        As in a YAML file.

    Returns
    -------
    TrainingConfig
        Checked.

    Raises
    ------
    InputError
        If a key is unknown or absent, or a value is of the wrong type or range.
    """
    known = [one.name for one in fields(TrainingConfig)]
    unknown = [str(key) for key in values if key not in known]
    if unknown:
        raise InputError(f"Unknown settings: {', '.join(unknown)}. There are {', '.join(known)}.")
    absent = [name for name in ("cache", "out") if values.get(name) is None]
    if absent:
        raise InputError(f"{' and '.join(absent)} must be set, in the file or with --set {absent[0]}=…")
    hints = get_type_hints(TrainingConfig)
    model = values.get("model", {})
    if isinstance(model, dict) and not all(isinstance(key, str) for key in model):
        raise InputError(f"model is {model!r}; expected a mapping such as {{size: mini}}.")
    return TrainingConfig(**{name: _typed(name, value, hints[name]) for name, value in values.items()})


def _typed(name: str, value: Any, hint: Any) -> Any:
    """A value of the hinted type; YAML reads ``1e-4`` as a word, which is taken for the number it is."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kind = kinds[0]
    if value is None and len(kinds) > 1:
        return None
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InputError(f"{name} is {value!r}; expected one of {', '.join(get_args(kind))}.")
        return value
    if get_origin(kind) is tuple and isinstance(value, list | tuple) and len(value) == len(get_args(kind)):
        return tuple(_typed(name, part, inner) for part, inner in zip(value, get_args(kind), strict=True))
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        with suppress(ValueError):
            return float(value)
    plain = get_origin(kind) or kind
    if type(value) is plain:
        return value
    raise InputError(f"{name} is {value!r}; expected {plain.__name__}{' or null' if len(kinds) > 1 else ''}.")


def _change(values: dict[str, Any], change: str) -> None:
    """Lay ``key=value`` over the values."""
    key, sign, text = change.partition("=")
    if not sign or not key.strip():
        raise InputError(f"--set {change!r}: expected key=value, for example rate=2e-4 or model.experts=4.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {change!r}: the value is no YAML.") from error
    outer, dot, inner = key.strip().partition(".")
    if not dot:
        values[outer] = value
    elif outer == "model" and isinstance(values.setdefault("model", {}), dict):
        values["model"][inner] = value
    else:
        raise InputError(f"--set {change!r}: only model has settings within it.")


def _config_folder() -> Path:
    return Path(str(files("soundit_geo"))) / "soundit" / "training" / "configs"
