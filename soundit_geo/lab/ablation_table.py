"""What the ablations say: a table with means and deviations over seeds, the paper's orderings, plots."""

from __future__ import annotations

import csv
import json
from math import isfinite, sqrt
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

from scipy.stats import t as student

from soundit_geo.errors import InputError
from soundit_geo.lab.yardstick import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Claim(NamedTuple):
    """One ordering of the paper.

    Parameters
    ----------
    words : str
        What it says.
    better, worse : str
        Keys of `soundit_geo.lab.ablations.VARIANTS`.
    paper : dict of str to tuple of float
        What the paper measured, better then worse, by measure.
    """

    words: str
    better: str
    worse: str
    paper: dict[str, tuple[float, float]]


CLAIMS: tuple[Claim, ...] = (
    Claim("SLRCM helps", "full", "no-slrcm", {"fid": (19.195, 20.335), "scene": (0.734, 0.704)}),
    Claim("S-AdaLN helps", "full", "no-s-adaln", {"fid": (19.195, 23.435), "scene": (0.734, 0.572)}),
    Claim("both together help", "full", "neither", {"fid": (19.195, 25.375), "scene": (0.734, 0.428)}),
    Claim(
        "S-AdaLN matters more than SLRCM",
        "no-slrcm",
        "no-s-adaln",
        {"fid": (20.335, 23.435), "scene": (0.704, 0.572)},
    ),
    Claim("4 experts beat 2", "full", "experts-2", {"fid": (18.304, 19.195), "scene": (0.741, 0.734)}),
    Claim("8 experts beat 4", "experts-8", "full", {"fid": (16.839, 18.304), "scene": (0.753, 0.741)}),
    Claim(
        "SounDiT beats plain cross-attention without scene",
        "full",
        "cross-attention",
        {"fid": (16.839, 34.108), "scene": (0.753, 0.390), "perception": (0.729, 0.743)},
    ),
)
"""SoundingSVI in the paper; its ablation of parts has M = 2, ours M = 4."""


def table(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Means and standard deviations over seeds.

    Parameters
    ----------
    result : mapping
        From `soundit_geo.lab.ablations.ablate`.

    Returns
    -------
    list of dict
        For each variant and each way of sampling: ``name``, ``words``, ``parameters`` (None for ways of sampling), and
        each of `MEASURES` as (mean, sd); sd is NaN with a single seed.
    """
    rows = []
    for name, units in result["units"].items():
        row: dict[str, Any] = {
            "name": name,
            "words": result["words"].get(name, f"full, {name}"),
            "parameters": result["parameters"].get(name),
        }
        for measure in MEASURES:
            values = [unit[measure] for unit in units]
            row[measure] = (mean(values), stdev(values) if len(values) > 1 else float("nan"))
        rows.append(row)
    return rows


def orderings(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Set the paper's orderings beside ours.

    Parameters
    ----------
    result : mapping
        From `soundit_geo.lab.ablations.ablate`.

    Returns
    -------
    list of dict
        For each claim and measure whose variants are there: what the paper has, our mean gain over seeds (positive
        where the claim holds), its standard error, and the ``verdict``: "reproduces" or "does not reproduce" where the
        95 % interval over seeds (Student's, of which three seeds ask for 4.3 standard errors) leaves out zero, else
        "undecided". All seeds draw the same places: nothing is said about others.
    """
    units = result["units"]
    found = []
    for claim in CLAIMS:
        if claim.better not in units or claim.worse not in units:
            continue
        for measure, paper in claim.paper.items():
            sign = 1.0 if MEASURES[measure][1] else -1.0
            gains = [
                sign * (one[measure] - other[measure])
                for one, other in zip(units[claim.better], units[claim.worse], strict=True)
            ]
            gain = mean(gains)
            error = stdev(gains) / sqrt(len(gains)) if len(gains) > 1 else float("inf")
            decided = "reproduces" if gain > 0 else "does not reproduce"
            bar = student.ppf(0.975, len(gains) - 1) * error if 0 < error < float("inf") else float("inf")
            found.append(
                {
                    "claim": claim.words,
                    "measure": measure,
                    "paper": list(paper),
                    "gain": round(gain, 4),
                    "standard_error": round(error, 4) if error < float("inf") else None,
                    "verdict": decided if abs(gain) > bar else "undecided",
                }
            )
    return found


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown.

    Parameters
    ----------
    rows : sequence of mapping
        From `table`.

    Returns
    -------
    str
        A head with arrows for the better direction, then a line for each row.
    """
    arrows = [f"{words} {'↑' if higher else '↓'}" for words, higher in MEASURES.values()]
    lines = ["| | parameters | " + " | ".join(arrows) + " |", "|---" * (len(MEASURES) + 2) + "|"]
    for row in rows:
        cells = [_cell(*row[measure]) for measure in MEASURES]
        count = f"{row['parameters'] / 1e6:.2f} M" if row["parameters"] else ""
        lines.append(f"| {row['words']} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: float, deviation: float) -> str:
    digits = 1 if abs(value) >= 10 else 3
    return f"{value:.{digits}f}" + (f" ± {deviation:.{digits}f}" if isfinite(deviation) else "")


def write(result: Mapping[str, Any], out: Path, *, plots: bool = True) -> None:
    """Write ``figures.json``, ``table.csv``, ``table.md`` and ``ablations.png``.

    Parameters
    ----------
    result : mapping
        From `soundit_geo.lab.ablations.ablate`.
    out : pathlib.Path
        A folder.
    plots : bool, optional
        Whether to plot.

    Raises
    ------
    InputError
        If plots are wanted and matplotlib is not installed.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = table(result)
    told = {**result, "orderings": orderings(result)}
    (out / "figures.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    (out / "table.md").write_text(markdown(rows), encoding="utf-8")
    with (out / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["name", "parameters", *(f"{measure}_{part}" for measure in MEASURES for part in ("mean", "sd"))]
        )
        for row in rows:
            writer.writerow(
                [row["name"], row["parameters"], *(part for measure in MEASURES for part in row[measure])]
            )
    if plots:
        _plot(result, rows, out / "ablations.png")


def _plot(result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Six small panels: parts, experts, k and other settings by scene score and FID; guidance; steps."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "Plots need matplotlib, which is not installed: pip install 'soundit-geo[lab]', or leave them out."
        ) from error
    of = {row["name"]: row for row in rows}
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    axes = figure.subplots(2, 3)
    parts = [name for name, group in result["groups"].items() if group == "parts"]
    others = [name for name, group in result["groups"].items() if group in {"k", "routing", "tokens"}]
    for column, measure in enumerate(("scene", "fid")):
        _dots(axes[0][column], of, parts, measure, "parts")
    _dots(axes[0][2], of, ["full", *others] if "full" in of else others, "scene", "other settings")
    experts = {1: "experts-1", 2: "experts-2", 4: "full", 8: "experts-8"}
    _line(
        axes[1][0],
        of,
        {count: name for count, name in experts.items() if name in of},
        "scene",
        "experts",
        "#0072B2",
    )
    axes[1][0].set_xscale("log", base=2)
    joint = {1: "guidance 1", 2: "guidance 2", 3: "guidance 3", 4: "full", 6: "guidance 6", 8: "guidance 8"}
    sound = {
        1: "guidance of sound 1, scene 4",
        2: "guidance of sound 2, scene 4",
        4: "full",
        8: "guidance of sound 8, scene 4",
    }
    scene = {
        1: "guidance of sound 4, scene 1",
        2: "guidance of sound 4, scene 2",
        4: "full",
        8: "guidance of sound 4, scene 8",
    }
    for ways, label, colour in (
        (joint, "both", "#0072B2"),
        (sound, "sound, scene 4", "#D55E00"),
        (scene, "scene, sound 4", "#009E73"),
    ):
        there = {scale: name for scale, name in ways.items() if name in of}
        _line(axes[1][1], of, there, "fid", "guidance scale", colour, label)
    axes[1][1].legend(frameon=False)
    steps = {5: "5 steps", 10: "10 steps", 20: "full", 50: "50 steps", 100: "100 steps"}
    _line(
        axes[1][2],
        of,
        {count: name for count, name in steps.items() if name in of},
        "fid",
        "sampler steps",
        "#0072B2",
    )
    axes[1][2].set_xscale("log")
    figure.savefig(file, dpi=110)


def _dots(axis: Any, of: Mapping[str, Any], names: Sequence[str], measure: str, title: str) -> None:
    values = [of[name][measure] for name in names]
    axis.errorbar(
        [value for value, _ in values],
        range(len(names)),
        xerr=[spread if isfinite(spread) else 0.0 for _, spread in values],
        fmt="o",
        color="#0072B2",
        capsize=3,
    )
    axis.set_yticks(range(len(names)), [of[name]["words"] for name in names])
    axis.invert_yaxis()
    axis.set_xlabel(MEASURES[measure][0])
    axis.set_title(title)
    axis.spines[["top", "right"]].set_visible(False)


def _line(
    axis: Any,
    of: Mapping[str, Any],
    ways: Mapping[int, str],
    measure: str,
    title: str,
    colour: str,
    label: str = "",
) -> None:
    values = [of[name][measure] for name in ways.values()]
    axis.errorbar(
        list(ways),
        [value for value, _ in values],
        yerr=[spread if isfinite(spread) else 0.0 for _, spread in values],
        marker="o",
        color=colour,
        capsize=3,
        label=label,
    )
    axis.set_xlabel(title)
    axis.set_ylabel(MEASURES[measure][0])
    axis.spines[["top", "right"]].set_visible(False)
