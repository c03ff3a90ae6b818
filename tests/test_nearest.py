"""Which scenes a prompt comes near to: cosines, order, what is far, what is kept, what is refused."""

import json
import warnings

import numpy as np
import pytest
import torch
from test_pipeline import ENCODER, make_scheduler, make_transformer, make_vae

from soundit_geo.encoders import ImageBindModel
from soundit_geo.errors import FarPromptWarning, InputError, SounditWarning
from soundit_geo.soundit import nearest
from soundit_geo.soundit.pipeline import SounDiTPipeline
from soundit_geo.synthetic_city.words import NAMES

SCENES = {
    "park": ["park", "public garden", "lawn with trees"],
    "beach": ["beach", "sandy shore"],
    "street": ["street", "avenue"],
}
VECTORS = {  # of any length: only directions count
    "park": (3, 0, 0, 0.1),
    "public garden": (1, 0.1, 0, 0.1),
    "lawn with trees": (1, 0, 0.1, 0.1),
    "beach": (0, 2, 0, 0.1),
    "sandy shore": (0.1, 1, 0, 0.1),
    "street": (0, 0, 1, 0.1),
    "avenue": (0, 0.1, 5, 0.1),
    "": (0.1, 0.1, 0.1, 1),
    "between park and beach": (1, 0.9, 0, 0.1),
    "a bit of each": (1.1, 1, 1, -1),
    "a garden": (2, 0.1, 0.1, 0.2),
    "nothing that is known": (0.2, 0.3, 0.1, 1),
    "against all": (-1, -1, -1, 0),
}


class Reader:
    """Embeds what it is told to, and counts."""

    def __init__(self):
        self.calls = []

    def encode_scenes(self, prompts):
        self.calls.append(list(prompts))
        return torch.tensor([VECTORS[prompt] for prompt in prompts], dtype=torch.float64)


def cosine(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return a @ b / np.sqrt((a @ a) * (b @ b))


def mean_direction(phrases):
    return np.mean([np.array(VECTORS[text]) / np.linalg.norm(VECTORS[text]) for text in phrases], axis=0)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(2)
    return ImageBindModel.mini(**ENCODER).eval()


def made(encoder, **config):
    return SounDiTPipeline(make_transformer(), make_vae(), make_scheduler(), encoder, **config)


@pytest.fixture
def pipeline():
    """A pipeline that reads as it is told."""
    pipe = made(None, known_scenes=SCENES)
    object.__setattr__(pipe, "encoder", Reader())
    return pipe


def test_similarities_are_cosines_with_mean_directions_best_first(pipeline):
    prompts = ["a garden", "beach"]
    rows = pipeline.nearest_scenes(prompts)
    assert len(rows) == 2
    for prompt, row in zip(prompts, rows, strict=True):
        expected = {scene: cosine(VECTORS[prompt], mean_direction(SCENES[scene])) for scene in SCENES}
        assert [name for name, _ in row] == sorted(expected, key=expected.get, reverse=True)
        assert dict(row) == pytest.approx(expected, abs=1e-6)
        assert all(type(value) is float and -1 <= value <= 1 for _, value in row)
    assert [row[0][0] for row in rows] == ["park", "beach"]


def test_one_string_is_one_prompt_and_other_scenes_may_be_given(pipeline):
    (row,) = pipeline.nearest_scenes("a garden", scenes={"green": ["park"], "blue": ("beach", "sandy shore")})
    assert [name for name, _ in row] == ["green", "blue"]


def test_what_is_far_follows_the_phrases_left_out_one_by_one(pipeline):
    known = nearest.known_scenes(Reader().encode_scenes, SCENES)
    reached = [
        cosine(VECTORS[text], mean_direction([other for other in phrases if other != text]))
        for phrases in SCENES.values()
        for text in phrases
    ]
    silence = max(cosine(VECTORS[""], mean_direction(phrases)) for phrases in SCENES.values())
    assert known.least == pytest.approx((np.quantile(reached, 0.01) + silence) / 2, abs=1e-6)
    with pytest.warns(FarPromptWarning) as caught:
        rows = pipeline.nearest_scenes(["a garden", "a bit of each"])
    (said,) = [str(one.message) for one in caught]
    assert "'a bit of each' (nearest: park, 0.5" in said
    assert "a garden" not in said
    assert caught[0].filename == __file__
    assert issubclass(FarPromptWarning, SounditWarning)
    assert rows[1][0][0] == "park"


def test_prompts_that_say_nothing_are_far_even_where_phrases_are_loose():
    loose = {"park": ["park", "beach"], "street": ["street", "avenue"]}
    known = nearest.known_scenes(Reader().encode_scenes, loose)
    prompts = ["nothing that is known", "a garden"]
    vectors = nearest.directions(Reader().encode_scenes, prompts)
    assert nearest.far(known._replace(least=-1.0), vectors).tolist() == [True, False]


def test_phrases_read_as_another_scene_do_not_lower_the_bar():
    beach = ["beach", "sandy shore"] * 20
    wrong = {**SCENES, "beach": [*beach, "against all"], "other": ["against all", "against all"]}
    expected, found = (nearest.known_scenes(Reader().encode_scenes, one).least for one in (SCENES, wrong))
    assert found == pytest.approx(expected, abs=0.01)


def test_the_bar_is_no_higher_than_what_phrases_reach():
    """An empty prompt that is read as a scene must not raise it."""
    vectors = {"park": (1.0, 0.0), "garden": (0.8, 0.6), "": (0.95, 0.3)}
    known = nearest.known_scenes(
        lambda texts: torch.tensor([vectors[text] for text in texts]), {"park": ["park", "garden"]}
    )
    assert known.least == pytest.approx(0.8, abs=1e-6)


def test_a_scene_of_one_phrase_is_enough(pipeline):
    scenes = {"park": ["park"], "beach": ["beach"]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (row,) = pipeline.nearest_scenes("between park and beach", scenes)
    assert row[0][0] == "park"


def test_many_far_prompts_give_one_warning(pipeline):
    with pytest.warns(FarPromptWarning, match="and 2 more") as caught:
        pipeline.nearest_scenes(["nothing that is known"] * 5)
    assert len(caught) == 1


def test_phrases_are_read_once_until_encoder_or_scenes_change(pipeline):
    for _ in range(2):
        pipeline.nearest_scenes("a garden")
    assert [len(call) for call in pipeline.encoder.calls] == [
        7,
        1,
        1,
        1,
    ]  # phrases, silence, the prompt twice
    pipeline.nearest_scenes("a garden", {"park": ["park"]})
    assert len(pipeline.encoder.calls) == 7
    other = Reader()
    object.__setattr__(pipeline, "encoder", other)
    pipeline.nearest_scenes("a garden", {"park": ["park"]})
    assert len(other.calls) == 3


def test_many_texts_are_read_in_parts():
    reader = Reader()
    assert nearest.directions(reader.encode_scenes, ["park"] * 130).shape == (130, 4)
    assert [len(call) for call in reader.calls] == [64, 64, 2]


# ------------------------------------------------------------------------------- with an encoder, saved and loaded
def test_known_scenes_are_saved_and_loaded(encoder, tmp_path):
    pipe = made(encoder, known_scenes={scene: tuple(phrases) for scene, phrases in SCENES.items()})
    pipe.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "model_index.json").read_text())["known_scenes"] == SCENES
    again = SounDiTPipeline.from_pretrained(tmp_path)
    assert again.config.known_scenes == SCENES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FarPromptWarning)
        expected = pipe.nearest_scenes(["a green place", "sand"])
        assert again.nearest_scenes(["a green place", "sand"]) == expected
        assert SounDiTPipeline.from_pipe(again).nearest_scenes(["a green place", "sand"]) == expected
    assert sorted(name for name, _ in expected[0]) == sorted(SCENES)


def test_folders_without_known_scenes_load(encoder, tmp_path):
    made(encoder).save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    del index["known_scenes"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    pipe = SounDiTPipeline.from_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"no known_scenes .* scenes=\{'park'"):
        pipe.nearest_scenes("a park")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FarPromptWarning)
        assert len(pipe.nearest_scenes("a park", SCENES)[0]) == 3


def test_the_preset_knows_the_names_of_its_scenes():
    pipe = SounDiTPipeline.from_pretrained("synthetic-city")
    firsts = {scene: list(names[:12]) for scene, names in NAMES.items()}
    prompts = [f"a {names[0]}" for names in firsts.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = pipe.nearest_scenes(prompts, scenes=firsts)
    assert [row[0][0] for row in rows] == list(firsts)
    assert all(len(row) == 12 for row in rows)
    with pytest.warns(FarPromptWarning, match="quantum chromodynamics"):
        pipe.nearest_scenes("quantum chromodynamics", scenes=NAMES)


# ----------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("prompts", "scenes", "words"),
    [
        ([], None, "prompts is empty"),
        ("  ", None, "prompts has an empty string at 0"),
        (["a park", ""], None, "prompts has an empty string at 1"),
        (["a park", None], None, "prompts has None at 1; expected strings"),
        (None, None, "prompts is a NoneType; expected a list of prompts"),
        ({"a park": 1}, None, "prompts is a dict"),
        ("a park", {}, "scenes is empty"),
        ("a park", ["park"], "scenes is a list; expected scenes with the phrases"),
        ("a park", {"park": []}, r"scenes\['park'\] is empty"),
        ("a park", {"park": "park"}, r"give a list: \['park'\]"),
        ("a park", {"park": ["park", 3]}, r"scenes\['park'\] has 3 at 1"),
        ("a park", {"": ["park"]}, "has the key ''"),
        ("a park", {"park": None}, r"scenes\['park'\] is a NoneType"),
    ],
)
def test_what_cannot_be_compared_is_named(pipeline, prompts, scenes, words):
    with pytest.raises(InputError, match=words):
        pipeline.nearest_scenes(prompts, scenes)


def test_without_an_encoder_nothing_is_read():
    with pytest.raises(InputError, match="no encoder"):
        made(None, known_scenes=SCENES).nearest_scenes("a park")


def test_a_pipeline_is_not_made_with_scenes_that_nothing_names(encoder):
    with pytest.raises(InputError, match=r"known_scenes\['park'\] is empty"):
        made(encoder, known_scenes={"park": []})


def test_an_encoder_that_gives_no_numbers_is_named():
    with pytest.raises(InputError, match="NaN or infinity"):
        nearest.directions(lambda texts: torch.full((len(texts), 4), torch.nan), ["park"])
