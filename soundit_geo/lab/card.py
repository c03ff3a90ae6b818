"""The model card of the embedded preset: what it is, how it was made, what was measured and which aims it misses."""

from __future__ import annotations

from typing import Any

ROWS = {
    "sound_and_prompt": "sound and prompt",
    "sound_alone": "sound alone",
    "reconstruction": "autoencoder there and back",
    "ceiling_second_picture": "ceiling: second picture of the place",
    "floor_other_place": "floor: drawing of another place",
}
METRICS = ("pss_scene_top1", "pss_scene_top5", "pss_element", "pss_perception")
WENT_ON = """Training went on, more than once, from the preset before: `steps_before` and its like count what came
before, as far as it was counted. The first of them had learnt on an earlier drawing of the city, and the autoencoder
has changed since, with the generator learning its new latents from the weights for the old ones. The command below,
begun from nothing, is the same recipe, but not the same path.

"""
DOSES = {
    "traffic": "traffic in the sound → vehicles",
    "greenery": "birds and leaves → vegetation",
    "water": "surf and running water → water",
}


def aims(figures: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Set the figures beside what the preset was meant to reach.

    Parameters
    ----------
    figures : dict
        As in the preset's ``figures.json``.

    Returns
    -------
    list of (str, float, float)
        What, measured, at least.
    """
    parts = figures["parts"]
    heard, judged = (
        parts["encoder"],
        {name: parts[f"judges/{name}"] for name in ("elements", "scenes", "perception")},
    )
    both = figures["sound_and_prompt"]
    felt = judged["perception"]["r2"]
    return [
        ("element judge: mean IoU over classes present", judged["elements"]["mean_iou"], 0.80),
        ("scene judge: accuracy", judged["scenes"]["accuracy"], 0.97),
        ("perception judge: R², mean over six", sum(felt) / len(felt), 0.80),
        ("autoencoder: PSNR in dB", figures["reconstruction_psnr_db"][0], 28.0),
        ("autoencoder: PSS element of reconstructions", figures["reconstruction"]["pss_element"][0], 0.97),
        ("encoder: right scene from sound, first", heard["scene_from_sound_top1"], 0.60),
        ("encoder: right scene from sound, among three", heard["scene_from_sound_top3"], 0.90),
        ("encoder: right scene from unseen phrasings", heard["scene_from_unseen_phrasing_top1"], 0.85),
        ("sound and prompt: PSS scene @1", both["pss_scene_top1"][0], 0.90),
        ("sound and prompt: PSS element", both["pss_element"][0], 0.85),
        ("sound and prompt: fraction of the element ceiling", figures["element_fraction_of_ceiling"], 0.93),
        ("sound alone: PSS scene @1", figures["sound_alone"]["pss_scene_top1"][0], 0.55),
        (
            "prompt swap: the scene drawn is the prompted one",
            figures["prompt_swap_scene_is_the_prompted"][0],
            0.90,
        ),
        *(
            (f"dose and response, {words}", figures["dose_and_response"][level]["same_place"][0], 0.50)
            for level, words in DOSES.items()
        ),
    ]


def card(figures: dict[str, Any]) -> str:
    """Write the model card.

    Parameters
    ----------
    figures : dict
        As in the preset's ``figures.json``.

    Returns
    -------
    str
        Markdown.
    """
    table = "\n".join(
        f"| {words} | " + " | ".join(_cell(figures[name][metric]) for metric in METRICS) + " |"
        for name, words in ROWS.items()
    )
    reached = "\n".join(
        f"| {what} | {least:g} | {got:.3f} | {'yes' if got >= least else '**no**'} |"
        for what, got, least in aims(figures)
    )
    turned = "\n".join(
        f"| {words} | {_cell(figures['dose_and_response'][level]['same_place'])} "
        f"| {figures['dose_and_response'][level]['any_place']:.3f} "
        f"| {_cell(figures['dose_and_response'][level]['rendered'])} |"
        for level, words in DOSES.items()
    )
    parts = "\n".join(
        f"| `{name}` | " + ", ".join(f"{key} {_short(value)}" for key, value in part.items()) + " |"
        for name, part in figures["parts"].items()
    )
    went_on = any(key.endswith("_before") for part in figures["parts"].values() for key in part)
    history = WENT_ON if went_on else ""
    foreign, own = (
        figures[key][0] for key in ("outside_world_share", "outside_world_share_of_real_pictures")
    )
    return f"""# Preset `synthetic-city`

A **stand-in**: everything here was trained on the procedural city of `soundit_geo.synthetic_city`, on synthetic
pictures and synthetic sound. It shows how the method works; what it says about a real place is no evidence.

Pictures are 128 × 128. Trained on two processor cores, without a GPU; training seed 1, test seed 2, so that no test
place was seen in training. Licence: BSD-3-Clause.

On {figures["places"]:,} unseen places, {figures["steps"]} sampler steps, guidance {figures["guidance"]:g}; judged by
the embedded judges (perception distance on their scale of 0 to 10, lower is better; all else higher is better), with
95 % intervals over places:

| | PSS scene @1 | scene @5 | element | perception |
|---|---|---|---|---|
{table}

With twelve scenes, the top five nearly always meet: scene @5 separates nothing here. {foreign:.1%} of the drawings look
foreign to the judges, and {own:.1%} of the city's own pictures. The decoder was sharpened with features of the element
judge, which favours element scores by that judge.

What it was meant to reach:

| | at least | measured | reached |
|---|---|---|---|
{reached}

Dose and response: one level of a place is turned, which changes its sound; prompt and first noise stay. Spearman's
correlation with the share drawn, over five turns of one place (mean and 95 % interval), over all places of a scene, and
of one place in the city's own pictures:

| | same place | any place | city's own pictures |
|---|---|---|---|
{turned}

| part | figures on unseen places |
|---|---|
{parts}

{history}Made and measured by (stage by stage, each can be stopped and gone on with):

```sh
soundit-geo train preset synthetic-city --out soundit_geo/presets/synthetic-city
```
"""


def _cell(values: list[float]) -> str:
    mean, *ends = values
    return f"{mean:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _short(value: object) -> str:
    if isinstance(value, list):
        return " / ".join(_short(one) for one in value)
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
