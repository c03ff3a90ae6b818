"""What can go wrong, as a tree.

::

    SounditError
    ├── InputError (ValueError)          something that the user gave cannot be used
    │   ├── SitesError                   a table of sites: geometry, ids, columns
    │   │   └── CRSError                 a coordinate reference system: absent, or at odds with the numbers
    │   ├── AudioError                   one recording: unreadable, empty, too short, silent, not finite
    │   ├── PictureError                 one picture: unreadable, wrong shape
    │   ├── ScenarioError                a scenario: unnamed, unknown, twice
    │   └── CubeError                    a layer cube: missing dimension or variable, wrong size
    ├── MissingFileError (FileNotFoundError)
    ├── WeightsError (RuntimeError)      a checkpoint: unknown name, wrong layout, unsafe format
    ├── StudyError (RuntimeError)        a study folder: another study's, unwritable
    └── TrainingError (RuntimeError)     a training run: diverged, its folder another run's or full

    SounditWarning (UserWarning)
    ├── OutsideWorldWarning              a judge or encoder met data unlike what it was trained on
    └── FarPromptWarning                 a prompt is like none of the scenes that a pipeline knows
"""


class SounditError(Exception):
    """Base of every error that soundit-geo raises on purpose."""


class InputError(SounditError, ValueError):
    """Something that the user gave cannot be used."""


class SitesError(InputError):
    """A table of sites is not usable: geometry, identifiers or columns."""


class CRSError(SitesError):
    """A coordinate reference system is absent, or disagrees with the coordinates."""


class AudioError(InputError):
    """One recording cannot be used: unreadable, empty, too short, silent or not finite."""


class PictureError(InputError):
    """One picture cannot be used: unreadable or of the wrong shape."""


class ScenarioError(InputError):
    """A scenario is unnamed, unknown or given twice."""


class CubeError(InputError):
    """A layer cube lacks a dimension or variable, or has one of the wrong size."""


class MissingFileError(SounditError, FileNotFoundError):
    """A file or folder that was named does not exist."""


class WeightsError(SounditError, RuntimeError):
    """A checkpoint has an unknown name, a wrong layout or an unsafe format."""


class StudyError(SounditError, RuntimeError):
    """A study folder belongs to another study, or cannot be written."""


class TrainingError(SounditError, RuntimeError):
    """A training run diverged, or its folder belongs to another run or cannot be written."""


class SounditWarning(UserWarning):
    """Base of every warning that soundit-geo gives."""


class OutsideWorldWarning(SounditWarning):
    """A judge or an encoder met data unlike what it was trained on; its figures carry no evidence there."""


class FarPromptWarning(SounditWarning):
    """A prompt is like none of the scenes that a pipeline knows; its pictures may show anything."""
