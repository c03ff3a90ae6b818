"""Pairwise votes on pictures, and TrueSkill scores from them.

A vote says which of two pictures looks more of a quality, or that they look alike. The scores are those of Place
Pulse 2.0's authors: TrueSkill (Herbrich et al. 2006, "TrueSkill: a Bayesian skill rating system"), every vote a game
of two, with the ``trueskill`` package. No torch is loaded here.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.classes import COMPARATIVES, PERCEPTIONS
from soundit_geo.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray
    from trueskill import Rating

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "left": ("left", "left_id"),
        "right": ("right", "right_id"),
        "winner": ("winner",),
        "quality": ("quality", "study_question", "category"),
    }
)
"""The four columns, each by its names: ours first, then those of Place Pulse 2.0's published tables."""

WINNERS: Mapping[str, int] = MappingProxyType({"left": 1, "equal": 0, "right": -1})
"""What may stand under ``winner``."""

_MU, _SIGMA = 25.0, 25.0 / 3.0
SETTINGS: Mapping[str, float] = MappingProxyType(
    {"mu": _MU, "sigma": _SIGMA, "beta": _SIGMA / 2, "tau": _SIGMA / 100, "draw_probability": 0.13}
)
"""TrueSkill's settings of Place Pulse 2.0's authors: β² = σ²/4, τ² = σ²/10,000."""

_WORDS = {
    **{name: name for name in PERCEPTIONS},
    **{comparative: name for name, comparative in COMPARATIVES.items()},
    "safety": "safe",
}


@dataclass(frozen=True)
class Votes:
    """V votes on P pictures.

    Parameters
    ----------
    pictures : tuple of str
        Names of the pictures, sorted, each once.
    left, right : numpy.ndarray
        (V,) int32, rows of `pictures`.
    winner : numpy.ndarray
        (V,) int8: 1 the left one, -1 the right one, 0 neither.
    quality : numpy.ndarray
        (V,) int8, index in `soundit_geo.classes.PERCEPTIONS`.
    """

    pictures: tuple[str, ...]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    winner: NDArray[np.int8]
    quality: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.winner)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, str, str]]) -> Votes:
        """Collect votes.

        Parameters
        ----------
        rows : iterable of tuple of str
            Left, right, winner, quality, as `read_votes` describes them.

        Returns
        -------
        Votes
            In the order of the rows.

        Raises
        ------
        InputError
            If a row cannot be used, or there is none; the message counts rows from 1.
        """
        kept: list[tuple[str, str, int, int]] = []
        for number, row in enumerate(rows, start=1):
            left, right, winner, quality = (text.strip() for text in row)
            meant = quality_of(quality)
            if not left or not right or left == right:
                raise InputError(f"Vote {number} compares {left!r} with {right!r}; name two pictures.")
            if winner.lower() not in WINNERS:
                raise InputError(f"Vote {number} was won by {winner!r}; expected {', '.join(WINNERS)}.")
            if meant is None:
                raise InputError(
                    f"Vote {number} is on {quality!r}; the qualities are {', '.join(PERCEPTIONS)}."
                )
            kept.append((left, right, WINNERS[winner.lower()], PERCEPTIONS.index(meant)))
        if not kept:
            raise InputError("There is no vote; give at least one.")
        pictures = tuple(sorted({name for left, right, *_ in kept for name in (left, right)}))
        at = {name: row for row, name in enumerate(pictures)}
        return cls(
            pictures,
            np.array([at[left] for left, *_ in kept], np.int32),
            np.array([at[right] for _, right, *_ in kept], np.int32),
            np.array([winner for *_, winner, _ in kept], np.int8),
            np.array([quality for *_, quality in kept], np.int8),
        )

    def among(self, chosen: NDArray[np.bool_]) -> Votes:
        """Votes between two of some pictures.

        Parameters
        ----------
        chosen : numpy.ndarray
            (P,) bool, which pictures.

        Returns
        -------
        Votes
            On the same `pictures`; votes that name another one are left out. It may be empty.
        """
        both = chosen[self.left] & chosen[self.right]
        return Votes(self.pictures, self.left[both], self.right[both], self.winner[both], self.quality[both])


@dataclass(frozen=True)
class Skills:
    """TrueSkill scores of P pictures in six qualities.

    Parameters
    ----------
    mu : numpy.ndarray
        (P, 6) the score, by these settings about 0 to 50, 25 to begin with; NaN without a vote.
    sigma : numpy.ndarray
        (P, 6) its standard deviation; NaN without a vote.
    votes : numpy.ndarray
        (P, 6) int64, votes that each picture took part in.
    """

    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]
    votes: NDArray[np.int64]


def read_votes(path: str | Path) -> Votes:
    """Read votes from a table.

    Parameters
    ----------
    path : str or pathlib.Path
        CSV in UTF-8 with a header, or the same with tabs. Columns ``left``, ``right`` (names of pictures), ``winner``
        (left, right or equal) and ``quality`` (safe, lively, beautiful, wealthy, depressing or boring); or those of
        Place Pulse 2.0: ``left_id``, ``right_id``, ``study_question`` ("safer" or "Which place looks safer?"), or
        ``category`` ("safety"). Other columns are passed over.

    Returns
    -------
    Votes
        In the order of the rows, which TrueSkill depends on a little.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If it is no such table, a column is absent or there twice, or a row cannot be used.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"There is no table of votes at {path}. Check the path.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            rows = csv.reader(file, delimiter="\t" if "\t" in first else ",", strict=True)
            header = next(rows, [])
            return Votes.of(_picked(rows, _columns(header, path)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV in UTF-8 ({error}).") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def quality_of(word: str) -> str | None:
    """Tell which perception a word means.

    Parameters
    ----------
    word : str
        A perception, its comparative, ``safety``, or the question ``Which place looks safer?``; case does not matter.

    Returns
    -------
    str or None
        One of `soundit_geo.classes.PERCEPTIONS`.
    """
    said = " ".join(word.lower().replace("_", " ").strip(" ?").split())
    return _WORDS.get(said.removeprefix("which place looks "))


def skills(votes: Votes, *, done: Callable[[], object] | None = None) -> Skills:
    """Compute TrueSkill scores, one quality apart from the other.

    Parameters
    ----------
    votes : Votes
        Taken in their order.
    done : callable, optional
        Called after each vote, which takes about a millisecond.

    Returns
    -------
    Skills
        A higher score is more of the quality.
    """
    from trueskill import TrueSkill

    game = TrueSkill(**SETTINGS)
    fresh = game.create_rating()
    ratings: dict[tuple[int, int], Rating] = {}
    count = np.zeros((len(votes.pictures), len(PERCEPTIONS)), np.int64)
    columns = (column.tolist() for column in (votes.left, votes.right, votes.winner, votes.quality))
    for left, right, winner, quality in zip(*columns, strict=True):
        one, other = (left, quality), (right, quality)
        if winner < 0:
            one, other = other, one
        ratings[one], ratings[other] = game.rate_1vs1(
            ratings.get(one, fresh), ratings.get(other, fresh), drawn=winner == 0
        )
        count[one] += 1
        count[other] += 1
        if done is not None:
            done()
    mu, sigma = np.full(count.shape, np.nan), np.full(count.shape, np.nan)
    for place, rating in ratings.items():
        mu[place], sigma[place] = rating.mu, rating.sigma
    return Skills(mu, sigma, count)


def pair_accuracy(
    votes: Votes, scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How often scores put the winner of a vote first.

    Parameters
    ----------
    votes : Votes
        Those that nobody won are left out.
    scores : numpy.ndarray
        (P, 6) scores of the pictures; votes on a score that is NaN are left out.

    Returns
    -------
    accuracy : numpy.ndarray
        (6,) share of votes in which the winner has the higher score, equal scores counting half; 0.5 is chance, NaN
        no vote.
    count : numpy.ndarray
        (6,) int64, votes that were counted.
    """
    gap = scores[votes.left, votes.quality] - scores[votes.right, votes.quality]
    counted = (votes.winner != 0) & np.isfinite(gap)
    right = 0.5 + 0.5 * np.sign(gap[counted]) * votes.winner[counted]
    quality = votes.quality[counted]
    count = np.bincount(quality, minlength=len(PERCEPTIONS))
    hits = np.bincount(quality, weights=right, minlength=len(PERCEPTIONS))
    accuracy = np.divide(hits, count, out=np.full(len(PERCEPTIONS), np.nan), where=count > 0)
    return accuracy, count


def _columns(header: list[str], path: Path) -> list[int]:
    """Where the four columns stand."""
    told = [name.strip().lower() for name in header]
    found = []
    for column, names in COLUMNS.items():
        there = [at for at, name in enumerate(told) if name in names]
        if len(there) != 1:
            raise InputError(
                f"{path.name} has {len(there)} columns for the {column}; expected one, called "
                f"{' or '.join(names)}. Its columns are {', '.join(told[:12]) or 'none'}."
            )
        found.append(there[0])
    return found


def _picked(rows: Iterable[list[str]], columns: list[int]) -> Iterable[tuple[str, str, str, str]]:
    """The four cells of every row; blank rows are passed over."""
    number = 0
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        number += 1
        if len(row) <= max(columns):
            raise InputError(f"Vote {number} has {len(row)} cells, fewer than the header.")
        left, right, winner, quality = (row[at] for at in columns)
        yield left, right, winner, quality
