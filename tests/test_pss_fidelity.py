"""Fidelity against scipy's matrix root and brute-force loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from soundit_geo.errors import InputError
from soundit_geo.pss.fidelity import (
    MEASURES,
    audio_image_similarity,
    frechet_distance,
    image_image_similarity,
    kernel_distance,
    similarity_floor,
)


def _textbook(a, b):
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(cov_a @ cov_b)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root.real)


@pytest.mark.parametrize(("n", "m", "width"), [(200, 150, 8), (40, 400, 32), (33, 64, 32)])
def test_frechet_distance_is_the_textbook_formula(n, m, width):
    rng = np.random.default_rng(n)
    a = rng.normal(size=(n, width)) @ rng.normal(size=(width, width))
    b = rng.normal(size=(m, width)) @ rng.normal(size=(width, width)) + 0.5
    assert frechet_distance(a, b) == pytest.approx(_textbook(a, b), rel=1e-6)


def test_frechet_distance_of_one_dimension_is_known():
    a, b = np.array([[0.0], [2.0]]), np.array([[10.0], [16.0]])
    assert frechet_distance(a, b) == pytest.approx(12.0**2 + (np.sqrt(2) - np.sqrt(18)) ** 2)


def test_a_set_has_no_distance_to_itself_even_with_fewer_pictures_than_features():
    few = np.random.default_rng(1).normal(size=(10, 64))
    assert frechet_distance(few, few[::-1]) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_is_symmetric_and_unchanged_by_rotation():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(12, 20)), rng.normal(size=(30, 20)) * 2
    turn = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    plain = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(plain)
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(plain)


def test_a_shift_alone_costs_its_square():
    a = np.random.default_rng(3).normal(size=(50, 4))
    assert frechet_distance(a, a + np.array([3.0, 0.0, 4.0, 0.0])) == pytest.approx(25.0)


def test_small_samples_overrate_the_distance():
    rng = np.random.default_rng(4)
    few = np.mean([frechet_distance(*rng.normal(size=(2, 20, 16))) for _ in range(20)])
    many = np.mean([frechet_distance(*rng.normal(size=(2, 400, 16))) for _ in range(20)])
    assert few > many > 0


def test_nan_features_have_nan_distance():
    a = np.ones((3, 2))
    a[0, 0] = np.nan
    assert np.isnan(frechet_distance(a, np.ones((3, 2))))


@pytest.mark.parametrize("shapes", [((1, 4), (5, 4)), ((5, 4), (5, 3)), ((4,), (4,))])
def test_unusable_features_are_refused(shapes):
    with pytest.raises(InputError):
        frechet_distance(*(np.ones(shape) for shape in shapes))


def _win_rate_by_loop(queries, items):
    cosine = [[q @ x / np.linalg.norm(q) / np.linalg.norm(x) for x in items] for q in queries]
    rates = []
    for i, row in enumerate(cosine):
        others = [value for j, value in enumerate(row) if j != i]
        rates.append(
            np.mean([1.0 if row[i] > v + 1e-9 else 0.5 if abs(row[i] - v) <= 1e-9 else 0.0 for v in others])
        )
    return np.array(rates)


@pytest.mark.parametrize("score", [audio_image_similarity, image_image_similarity])
def test_win_rate_and_cosine_are_those_of_a_loop(score):
    rng = np.random.default_rng(5)
    a = rng.normal(size=(23, 7))
    b = a + rng.normal(size=(23, 7))
    b[4] = b[9]  # a tie
    assert np.allclose(score(a, b), _win_rate_by_loop(a, b))
    cosine = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)]
    assert np.allclose(score(a, b, form="cosine"), cosine)


def test_rows_are_counted_right_across_blocks(monkeypatch):
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(2, 23, 7))
    whole = audio_image_similarity(a, b)
    monkeypatch.setattr("soundit_geo.pss.fidelity._ROWS", 5)
    assert np.array_equal(audio_image_similarity(a, b), whole)


def test_chance_is_a_half_and_all_alike_is_exactly_a_half():
    rng = np.random.default_rng(7)
    assert audio_image_similarity(*rng.normal(size=(2, 400, 16))).mean() == pytest.approx(0.5, abs=0.03)
    assert (audio_image_similarity(rng.normal(size=(5, 4)), np.ones((5, 4))) == 0.5).all()


def test_a_perfect_match_wins_always_and_length_does_not_matter():
    a = np.random.default_rng(8).normal(size=(20, 16))
    assert (image_image_similarity(a, 7 * a) == 1.0).all()
    assert np.allclose(image_image_similarity(a, 7 * a, form="cosine"), 1.0)


def test_a_nan_embedding_spoils_its_own_row_only():
    a = np.random.default_rng(9).normal(size=(6, 4))
    b = a.copy()
    b[2] = np.nan
    assert np.isnan(image_image_similarity(a, b)).tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    ("a", "b", "form"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "cosine"),
        (np.ones((1, 3)), np.ones((1, 3)), "win_rate"),
        (np.ones((2, 3)), np.ones((2, 3)), "wins"),
    ],
)
def test_unusable_embeddings_are_refused(a, b, form):
    with pytest.raises(InputError):
        audio_image_similarity(a, b, form=form)


def test_kernel_distance_is_the_printed_sum():
    """Loops over the formula, one pair at a time."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(7, 5)), rng.normal(size=(9, 5)) + 0.3

    def mean(x, y, same):
        values = [
            (one @ two / 5 + 1) ** 3
            for i, one in enumerate(x)
            for j, two in enumerate(y)
            if not same or i != j
        ]
        return np.mean(values)

    expected = mean(a, a, same=True) + mean(b, b, same=True) - 2 * mean(a, b, same=False)
    assert kernel_distance(a, b) == pytest.approx(expected)
    assert kernel_distance(b, a) == pytest.approx(expected)


def test_kernel_distance_has_no_bias_where_the_frechet_distance_has():
    """Two samples of one distribution: few pictures make FID large, and leave the kernel distance about zero."""
    rng = np.random.default_rng(5)
    small = [(rng.normal(size=(20, 16)), rng.normal(size=(20, 16))) for _ in range(300)]
    kernel = [kernel_distance(a, b) for a, b in small]
    error = np.std(kernel) / np.sqrt(len(kernel))
    assert abs(np.mean(kernel)) < 3 * error
    large = rng.normal(size=(4000, 16)), rng.normal(size=(4000, 16))
    assert np.mean([frechet_distance(a, b) for a, b in small]) > 20 * frechet_distance(*large)


def test_kernel_distance_refuses_what_is_no_distribution():
    with pytest.raises(InputError, match="at least two"):
        kernel_distance(np.zeros((1, 3)), np.zeros((4, 3)))
    assert np.isnan(kernel_distance(np.full((2, 3), np.nan), np.zeros((4, 3))))


@pytest.mark.parametrize("groups", [(), ("x", "x", "y", "z", "z", "z", "u")])
def test_the_floor_is_the_mean_over_every_wrong_pair(groups):
    rng = np.random.default_rng(7)
    a = rng.normal(size=(7, 4))
    b = a + rng.normal(size=(7, 4))
    b[5] = b[1]  # a tie
    cosine = [[q @ x / np.linalg.norm(q) / np.linalg.norm(x) for x in b] for q in a]
    own, rates = [], []
    for i, row in enumerate(cosine):
        for j, value in enumerate(row):
            if i != j and not (groups and groups[i] == groups[j]):
                others = [row[k] for k in range(7) if k != j]
                own.append(value)
                rates.append(
                    np.mean(
                        [1.0 if value > o + 1e-9 else 0.5 if abs(value - o) <= 1e-9 else 0.0 for o in others]
                    )
                )
    assert similarity_floor(a, b, form="cosine", groups=groups) == pytest.approx(np.mean(own))
    assert similarity_floor(a, b, groups=groups) == pytest.approx(np.mean(rates))


def test_right_and_wrong_pairs_share_out_the_wins():
    rng = np.random.default_rng(8)
    for count in (2, 5, 40):
        a, b = rng.normal(size=(2, count, 6))
        mean = audio_image_similarity(a, b).mean()
        assert similarity_floor(a, b) == pytest.approx((count / 2 - mean) / (count - 1))


def test_a_floor_needs_a_wrong_pair_and_passes_over_unknown_rows():
    a, b = np.random.default_rng(9).normal(size=(2, 6, 4))
    assert np.isnan(similarity_floor(a, b, groups=["one"] * 6))
    assert np.isnan(similarity_floor(a[:1], b[:1]))
    holed = a.copy()
    holed[4] = np.nan
    rest = [0, 1, 2, 3, 5]
    assert similarity_floor(holed, b) == pytest.approx(similarity_floor(a[rest], b[rest]))


def test_every_measure_says_which_way_is_better():
    assert {name for name, about in MEASURES.items() if not about.higher_is_better} == {"fid", "kid"}
