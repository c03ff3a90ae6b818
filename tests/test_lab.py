"""The training loop and the stages: what can be promised of them without hours of training."""

import pytest
import torch
from diffusers import DDPMScheduler

from soundit_geo.errors import InputError
from soundit_geo.lab import city_data, preset
from soundit_geo.lab.city_data import draw_places
from soundit_geo.lab.loop import Plan, fit
from soundit_geo.lab.preset import STAGES, TEST_SEED, TRAIN_SEED, Workshop, autoencoder, train_preset
from soundit_geo.lab.preset.caches import CAPTIONS
from soundit_geo.lab.preset.lesson import SCHEDULE, lesson


class StoppedError(Exception):
    pass


def train(folder, stop=None, *, mixed=False):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    seen = []

    def losses(generator):
        if stop is not None and len(seen) == stop:
            raise StoppedError
        x = torch.randn(8, 3, generator=generator)
        seen.append(x.sum().item())
        return {"loss": (model(x) - x.sum(dim=1, keepdim=True)).square().mean()}

    return fit(
        model,
        losses,
        Plan(steps=120, rate=0.1, warmup=3, average=0.9, every=0.0, mixed=mixed),
        folder,
        "toy",
    ), seen


def test_a_stopped_training_goes_on_exactly(tmp_path):
    whole, all_seen = train(tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(tmp_path / "cut", stop=13)
    resumed, rest = train(tmp_path / "cut")
    assert rest == all_seen[13:]
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_training_learns_and_a_finished_one_is_left_alone(tmp_path):
    trained, _ = train(tmp_path)
    torch.testing.assert_close(trained.weight, torch.ones(1, 3), atol=0.2, rtol=0)
    again, seen = train(tmp_path)
    assert seen == []
    assert torch.equal(again.weight, trained.weight)


def test_mixed_precision_multiplies_in_bfloat16_and_keeps_the_weights_in_single(tmp_path):
    single, _ = train(tmp_path / "single")
    mixed, _ = train(tmp_path / "mixed", mixed=True)
    assert mixed.weight.dtype == torch.float32
    assert not torch.equal(mixed.weight, single.weight)
    torch.testing.assert_close(mixed.weight, torch.ones(1, 3), atol=0.2, rtol=0)


def test_the_rate_warms_up_and_falls():
    plan = Plan(steps=100, rate=1.0, warmup=10)
    rates = [plan.rate_at(step) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.05, abs=0.01)


def test_training_and_test_city_share_no_place():
    train_places, test_places = draw_places(240, TRAIN_SEED), draw_places(240, TEST_SEED)
    assert not set(train_places) & set(test_places)


def test_unknown_presets_and_stages_are_refused(tmp_path):
    with pytest.raises(InputError, match="synthetic-city"):
        train_preset("other", tmp_path, tmp_path)
    with pytest.raises(InputError, match=next(iter(STAGES))):
        train_preset("synthetic-city", tmp_path, tmp_path, ["other"])


@pytest.mark.slow
def test_the_stages_fit_together(tmp_path):
    """Two steps of each on a tiny city: nothing is learned, but every stage takes what the one before made."""
    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder
    from soundit_geo.soundit.transformer import SounDiTTransformer2DModel

    shop = Workshop(
        tmp_path / "work", tmp_path / "preset", places=24, test_places=12, sounds=12, test_sounds=12
    )
    preset.vae(shop, steps=2)
    preset.encoder(shop, steps=2)
    preset.soundit(shop, steps=2)
    cache = preset.cached(shop)
    assert cache["latents"].shape == (24, 2, 4, 16, 16)  # of the twelve places that are heard
    assert cache["layout"].shape[:2] == (24, 64)
    assert (cache["layout"].sum(dim=-1).float() - 255).abs().max() <= 8  # shares of one, rounded
    for kind, name in (
        (FoldingAutoencoder, "vae"),
        (ImageBindModel, "encoder"),
        (SounDiTTransformer2DModel, "transformer"),
    ):
        kind.from_pretrained(shop.preset / name)
        assert (shop.preset / name / "figures.json").exists()


def test_what_the_generator_should_say_leads_back_to_the_picture():
    generator = torch.Generator().manual_seed(0)
    cached = {
        "latents": torch.randn(8, 2, 4, 16, 16, generator=generator).half(),
        "tokens": torch.randn(4, 3, 16, generator=generator),
        "summary": torch.randn(4, 16, generator=generator),
        "scenes": torch.randn(4, CAPTIONS, 16, generator=generator),
    }
    shown = lesson(cached, 64, generator)
    kept = DDPMScheduler(**SCHEDULE).alphas_cumprod[shown.time][:, None, None, None]
    back = kept.sqrt() * shown.noisy - (1 - kept).sqrt() * shown.velocity
    clean = cached["latents"][shown.rows, shown.mirrored].float()
    torch.testing.assert_close(back, clean, atol=1e-5, rtol=1e-5)
    assert torch.equal(shown.tokens, cached["tokens"][shown.rows // city_data.VARIANTS])
    assert 0 < shown.scene_missing.sum() < 64
    assert lesson(cached, 64, generator, blind=True).scene_missing.all()


def test_a_disturbance_follows_the_spread_of_the_latents_and_leaves_about_half_alone():
    latent = torch.randn(400, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    noise, larger = (
        autoencoder._disturbance(scale * latent, torch.Generator().manual_seed(1)) for scale in (1.0, 7.0)
    )
    torch.testing.assert_close(larger, 7.0 * noise)
    assert 0.4 < (noise == 0).all(dim=(1, 2, 3)).float().mean() < 0.6
    assert 0.4 < noise[(noise != 0).any(dim=(1, 2, 3))].std() < 0.75  # of a uniform strength up to 1
