"""Models that load completely or not at all.

Where a folder lacks parameters, or has some that the model does not know, diffusers only warns, and goes on with
uninitialised ones; unknown settings it ignores. A model that inherits `StrictModelMixin` refuses both, also where a
diffusers pipeline loads it as a component.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffusers.configuration_utils import ConfigMixin
from diffusers.models.modeling_utils import ModelMixin

from soundit_geo.errors import InputError, SounditError, WeightsError
from soundit_geo.weights import check_finite, is_hub_id, refuse_disagreement

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

_NOT_SETTINGS = ("quantization_config", "dtype")  # diffusers' own, beside those that begin with an underscore


def refuse_unknown_settings(model: type, settings: Iterable[str]) -> None:
    """Raise if a model's constructor does not know a setting.

    Parameters
    ----------
    model : type
        The class.
    settings : iterable of str
        Keys of a configuration; diffusers' private ones, which begin with an underscore, may be among them.

    Raises
    ------
    InputError
        If some are unknown; the message names them and the known ones.
    """
    known = [name for name in inspect.signature(model).parameters if name != "kwargs"]
    unknown = [key for key in settings if key not in (*known, *_NOT_SETTINGS) and not key.startswith("_")]
    if unknown:
        raise InputError(
            f"{model.__name__} has no setting {', '.join(map(repr, unknown))}. It has {', '.join(known)}."
        )


class StrictModelMixin(ModelMixin, ConfigMixin):
    """A diffusers model that is never loaded in part, and never with settings that it would ignore."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any], return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """Make a model from its settings.

        Parameters
        ----------
        config : mapping
            The settings.
        return_unused_kwargs : bool, optional
            As in diffusers.
        **kwargs
            Settings that take the place of those in `config`.

        Returns
        -------
        the model, or a tuple
            Random weights; as in diffusers.

        Raises
        ------
        InputError
            If a setting is unknown.
        """
        if not isinstance(config, Mapping):
            raise InputError(
                f"The settings of {cls.__name__} are a {type(config).__name__}; expected a mapping."
            )
        refuse_unknown_settings(cls, [*config, *kwargs])
        return super().from_config(config, return_unused_kwargs, **kwargs)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        *,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Load a model from a folder or from the hub.

        Parameters
        ----------
        pretrained_model_name_or_path : str or path
            A folder made by ``save_pretrained``, or a hub id ``owner/name``.
        output_loading_info : bool, optional
            As in diffusers.
        **kwargs
            As in ``diffusers.ModelMixin.from_pretrained``; beside them settings that take the place of those in
            the folder. ``ignore_mismatched_sizes`` changes nothing: other shapes are refused.

        Returns
        -------
        the model, or a tuple
            In evaluation mode; as in diffusers.

        Raises
        ------
        InputError
            If a setting is unknown.
        WeightsError
            If there is no such folder, or it has no such model, or its file is damaged, or its parameters are not
            exactly those of the model, or are not finite.
        """
        name = str(pretrained_model_name_or_path)
        if not Path(name).is_dir() and not is_hub_id(name):
            raise WeightsError(
                f"{cls.__name__} cannot be loaded from {name}: there is no such folder, and it is no hub id "
                "of the form owner/name."
            )
        try:
            model, loaded = super().from_pretrained(name, output_loading_info=True, **kwargs)
        except SounditError:
            raise
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            said = re.split(r"If you want to|You may consider", str(error))[
                0
            ]  # how to go on with random weights
            cause = textwrap.shorten(said, 300, placeholder=" …")
            raise WeightsError(f"{cls.__name__} cannot be loaded from {name}: {cause}") from error
        absent, foreign = set(loaded.get("missing_keys", ())), loaded.get("unexpected_keys", ())
        refuse_disagreement(
            missing=[key for key in model.state_dict() if key in absent],
            unknown=sorted(foreign),
            reshaped=[
                f"{key} is {tuple(came)}, expected {tuple(expected)}"
                for key, came, expected in loaded.get("mismatched_keys", ())
            ],
            source=f"{cls.__name__} in {name}",
        )
        check_finite((key, value) for key, value in model.named_parameters() if value.is_floating_point())
        return (model, loaded) if output_loading_info else model
