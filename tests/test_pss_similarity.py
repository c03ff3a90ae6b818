"""Laws of the three similarities, and comparison with plain loops."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from soundit_geo.errors import InputError
from soundit_geo.pss.similarity import METRICS, element_similarity, perception_distance, scene_overlap

shares = arrays(np.float64, (3, 150), elements=st.floats(0, 1, allow_subnormal=False)).map(
    lambda a: a + 1e-6 * (np.arange(150) == 0)
)
scores = arrays(np.float64, (4, 6), elements=st.floats(0, 10))
ranked = st.lists(st.permutations(range(12)).map(lambda p: p[:5]), min_size=3, max_size=3).map(np.array)


@settings(max_examples=50, deadline=None)
@given(shares)
def test_the_same_elements_have_similarity_one(share):
    assert np.allclose(element_similarity(share, share), 1.0)


@settings(max_examples=50, deadline=None)
@given(shares, shares)
def test_element_similarity_is_symmetric_and_between_zero_and_one(real, generated):
    there, back = element_similarity(real, generated), element_similarity(generated, real)
    assert np.allclose(there, back)
    assert (there >= 0).all()
    assert (there <= 1).all()


@settings(max_examples=50, deadline=None)
@given(shares, shares, st.floats(1e-6, 1e6), st.permutations(range(150)))
def test_element_similarity_sees_neither_scale_nor_order_of_classes(real, generated, factor, order):
    plain = element_similarity(real, generated)
    assert np.allclose(element_similarity(factor * real, generated), plain)
    assert np.allclose(element_similarity(real[:, order], generated[:, order]), plain)


@settings(max_examples=30, deadline=None)
@given(shares, shares, st.permutations(range(3)))
def test_pairs_do_not_know_of_each_other(real, generated, order):
    assert np.allclose(
        element_similarity(real[order], generated[order]), element_similarity(real, generated)[order]
    )


def test_element_similarity_is_the_cosine_of_a_plain_loop():
    rng = np.random.default_rng(0)
    real, generated = rng.random((5, 150)), rng.random((5, 150))
    for value, r, g in zip(element_similarity(real, generated), real, generated, strict=True):
        dot, square_r, square_g = (
            math.fsum(x / sum(a) * y / sum(b) for x, y in zip(a, b, strict=True))
            for a, b in ((r, g), (r, r), (g, g))
        )
        assert value == pytest.approx(dot / math.sqrt(square_r * square_g))


def test_pictures_with_nothing_in_common_have_similarity_zero():
    sky, sea = np.eye(150)[[2]], np.eye(150)[[26]]
    assert element_similarity(sky, sea)[0] == 0.0


def test_tiny_and_huge_counts_do_not_overflow():
    tiny, huge = np.full((1, 150), 1e-300), np.full((1, 150), 1e300)
    assert element_similarity(tiny, huge)[0] == pytest.approx(1.0)


@settings(max_examples=50, deadline=None)
@given(ranked, ranked, st.integers(1, 5))
def test_scene_overlap_is_the_intersection_of_sets_and_symmetric(real, generated, k):
    expected = [float(bool(set(r[:k]) & set(g[:k]))) for r, g in zip(real, generated, strict=True)]
    assert scene_overlap(real, generated, k).tolist() == expected
    assert scene_overlap(generated, real, k).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(ranked, ranked, st.integers(1, 4))
def test_more_ranks_never_agree_less(real, generated, k):
    assert (scene_overlap(real, generated, k + 1) >= scene_overlap(real, generated, k)).all()


def test_an_absent_scene_agrees_with_nothing():
    none, some = np.array([[-1, -1]]), np.array([[-1, 4]])
    assert np.isnan(scene_overlap(none, some, 2)).all()
    assert scene_overlap(some, np.array([[-1, 5]]), 2).tolist() == [0.0]
    assert scene_overlap(some, np.array([[4, -1]]), 2).tolist() == [1.0]


@settings(max_examples=50, deadline=None)
@given(scores, scores, scores)
def test_perception_distance_is_a_distance(a, b, c):
    assert (perception_distance(a, a) == 0).all()
    assert np.allclose(perception_distance(a, b), perception_distance(b, a))
    assert (perception_distance(a, c) <= perception_distance(a, b) + perception_distance(b, c) + 1e-9).all()


@settings(max_examples=50, deadline=None)
@given(scores, scores, st.floats(-5, 5), st.permutations(range(6)))
def test_perception_distance_sees_neither_a_common_shift_nor_the_order_of_scores(a, b, shift, order):
    plain = perception_distance(a, b)
    assert np.allclose(perception_distance(a + shift, b + shift), plain)
    assert np.allclose(perception_distance(a[:, order], b[:, order]), plain)


def test_perception_distance_is_in_points_of_the_scale():
    assert perception_distance(np.zeros((1, 6)), np.full((1, 6), 2.5)).tolist() == [2.5]


def test_nan_in_is_nan_out_in_that_row_only():
    share, score = np.ones((2, 150)), np.ones((2, 6))
    share[0, 3] = score[0, 3] = np.nan
    assert np.isnan(element_similarity(share, np.ones((2, 150)))).tolist() == [True, False]
    assert np.isnan(perception_distance(np.ones((2, 6)), score)).tolist() == [True, False]
    classes = np.array([[np.nan], [3.0]])
    assert np.isnan(scene_overlap(classes, np.array([[3], [3]]), 1)).tolist() == [True, False]


def test_an_empty_row_has_no_direction():
    assert np.isnan(element_similarity(np.zeros((1, 150)), np.ones((1, 150)))).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: element_similarity(np.ones((2, 150)), np.ones((3, 150))), r"\(3, 150\)"),
        (lambda: element_similarity(np.ones(150), np.ones(150)), r"\(B, 150\)"),
        (lambda: element_similarity(-np.ones((1, 150)), np.ones((1, 150))), "negative"),
        (lambda: perception_distance(np.ones((2, 6)), np.ones((2, 5))), r"\(2, 5\)"),
        (lambda: scene_overlap(np.ones((2, 5)), np.ones((2, 5)), 6), "from 1 to 5"),
        (lambda: scene_overlap(np.ones((2, 5)), np.ones((2, 5)), 0), "from 1 to 5"),
        (lambda: scene_overlap(np.ones((2, 5)), np.ones((3, 5)), 1), "equal B"),
    ],
)
def test_wrong_shapes_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_only_the_perception_distance_is_better_when_low():
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == ["pss_perception"]


def test_the_pure_functions_need_no_torch():
    code = (
        "import sys, soundit_geo.pss.similarity, soundit_geo.pss.fidelity, soundit_geo.weights; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
