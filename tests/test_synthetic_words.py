"""Words of the synthetic city: many of them, true of the place, and a list that no caption gives away."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundit_geo.encoders.tokenizer import END, tokenize
from soundit_geo.synthetic_city.picture import ELEMENT_IDS, element_share, render_picture
from soundit_geo.synthetic_city.place import LEVELS, SCENES, WEATHERS, Place, draw_place
from soundit_geo.synthetic_city.vocabulary import NO_ARTICLE, split_phrases
from soundit_geo.synthetic_city.words import NAMES, THINGS, UNSEEN, _attributes, caption

places = st.builds(
    Place,
    scene=st.sampled_from(SCENES),
    weather=st.sampled_from(WEATHERS),
    hour=st.floats(0, 24),
    seed=st.integers(0, 2**31 - 1),
    **dict.fromkeys(LEVELS, st.floats(0, 1)),
)
DENIALS = (
    r"without|(?<!almost )\bno\b|nobody|free of|away from|-free|treeless|not a single|empty|deserted|lonely"
)


@pytest.fixture(scope="module")
def said():
    rng = np.random.default_rng(0)
    return {scene: [caption(draw_place(rng, scene), rng) for _ in range(3000)] for scene in SCENES}


def everything(table):
    return [text for scene in SCENES for text in table[scene]]


def test_every_scene_has_several_hundred_phrasings(said):
    assert min(len(set(texts)) for texts in said.values()) >= 2_500
    assert min(len(NAMES[scene]) for scene in SCENES) >= 40
    assert min(len(THINGS[scene]) for scene in SCENES) >= 25


@pytest.mark.parametrize("table", [NAMES, THINGS, UNSEEN], ids=["names", "things", "unseen"])
def test_no_phrase_belongs_to_two_scenes(table):
    phrases = everything(table)
    assert set(table) == set(SCENES)
    assert len(phrases) == len(set(phrases))
    assert all(text == " ".join(text.split()).lower() != "" for text in phrases)


def test_the_first_names_are_those_of_the_sample_and_the_presets():
    assert [NAMES[scene][0] for scene in SCENES] == [
        *("street", "residential neighborhood", "highway", "plaza", "park", "forest path"),
        *("beach", "harbor", "river", "field", "outdoor market", "construction site"),
    ]
    assert set(everything(NAMES)) >= NO_ARTICLE


def test_captions_are_lower_case_and_short_enough_for_the_tokenizer(said):
    texts = everything(said)
    assert all(text == " ".join(text.split()).lower() for text in texts)
    assert max(len(text.split()) for text in texts) <= 30
    longest = sorted(set(texts), key=len)[-200:]
    assert all(END in row[:76] for row in tokenize(longest).tolist())  # nothing is cut at 77 tokens


def test_articles_are_right(said):
    texts = everything(said)
    assert not [text for text in texts if re.search(r"\ba (?:[aeio]|urban|unf)", text)]
    assert not [text for text in texts if re.search(r"\ban (?![aeio]|urban|unf)", text)]
    plural = "|".join(map(re.escape, sorted(NO_ARTICLE, key=len, reverse=True)))
    assert not [text for text in texts if re.search(rf"\ban? (?:{plural})(?:$|,| with)", text)]


@given(places, st.integers(0, 1000))
def test_a_caption_is_the_same_every_time(place, seed):
    first, again = (caption(place, np.random.default_rng(seed)) for _ in range(2))
    assert first == again
    words = [*NAMES[place.scene], *THINGS[place.scene]]
    assert any(word in first for word in words), first


@given(places)
def test_attributes_contradict_no_level(place):
    words = {about: [*before, *after] for about, (before, after) in _attributes(place).items()}
    for about in LEVELS:
        denied = [word for word in words[about] if re.search(DENIALS, word)]
        many = [word for word in words[about] if re.search(r"many|full|lots|plenty|crowded|lush", word)]
        if about == "building_height":
            assert place.building_height < 0.45 or not denied, (denied, place)
        else:
            assert getattr(place, about) < 0.1 or not denied, (denied, place)
        assert getattr(place, about) > 0.6 - 0.05 * (about == "greenery") or not set(many) - {"not crowded"}
    if "quiet" in words["people"]:
        assert place.people < 0.1 > place.traffic
    assert (place.weather == "rain") == ("in the rain" in words["weather"])
    assert ("sunny" in words["weather"]) <= (place.weather == "clear" and 7 <= place.hour <= 18)
    assert ("at night" in words["hour"]) == (place.hour <= 5.5 or place.hour > 19.5)


@pytest.mark.parametrize(
    ("about", "denial", "elements"),
    [
        ("traffic", "without cars", ("car", "bus", "truck")),
        ("people", "without people", ("person",)),
        ("greenery", "without trees", ("tree", "plant")),
        ("water", "without a pond", ("water",)),
        ("water", "without a fountain", ("fountain",)),
    ],
)
def test_what_is_denied_is_not_in_the_picture(about, denial, elements):
    rng, seen = np.random.default_rng(1), set()
    for scene in SCENES:
        for level in (0.0, 0.007, 0.02, 0.029, 0.035, 0.045, 0.055, 0.07, 0.09, 0.12):
            place = draw_place(rng, scene)
            place = Place(**{**place.as_dict(), "traffic": 0.0, "greenery": 0.0, about: level})
            if denial in _attributes(place)[about][1]:
                seen.add(scene)
                shares = [element_share(render_picture(place, 48, variant)[1]) for variant in range(3)]
                assert np.sum(shares, axis=0)[[ELEMENT_IDS[name] for name in elements]].sum() == 0, place
    assert seen


def test_nothing_is_said_twice():
    """An attribute never speaks of what the name already says: no busy street without cars."""
    rng = np.random.default_rng(2)
    empty = Place("street", 0.0, 0.0, 0.0, 0.0, 0.1, "clear", 12.0)
    texts = [caption(empty, rng) for _ in range(3000)]
    assert not [
        text
        for text in texts
        if "busy street" in text and re.search("-free|nobody|no (?:car|traffic|people)|quiet", text)
    ]
    assert not [text for text in texts if "tree-lined" in text and re.search(r"treeless|trees\b|green", text)]


@pytest.mark.parametrize("scene", SCENES)
def test_no_unseen_prompt_is_a_list_of_things(scene):
    for prompt in UNSEEN[scene]:
        assert not set(re.split(r", | and ", prompt)) <= set(THINGS[scene]), prompt


def test_the_unseen_prompts_stay_unseen():
    assert {len(UNSEEN[scene]) for scene in SCENES} == {18}
    rng = np.random.default_rng(3)
    texts = {caption(draw_place(rng), rng) for _ in range(20_000)}
    assert not texts & set(everything(UNSEEN))
    assert not set(everything(UNSEEN)) & {*everything(NAMES), *everything(THINGS)}


def test_phrases_are_split_at_commas():
    assert split_phrases(" swings,\n  a duck\n pond, ") == ("swings", "a duck pond")
    assert split_phrases("") == ()
