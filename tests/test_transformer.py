"""The transformer: what a fresh one does, what moves it, and what it refuses."""

import pytest
import torch

from soundit_geo.encoders import ImageBindModel
from soundit_geo.errors import InputError
from soundit_geo.soundit.transformer import SIZES, SounDiTTransformer2DModel

TINY = {"sample_size": 4, "depth": 2, "width": 32, "heads": 2, "content_rank": 4, "expert_rank": 4}
DIMS = {"token_dim": 128, "summary_dim": 128, "scene_dim": 128}


def tiny(**config):
    torch.manual_seed(0)
    return SounDiTTransformer2DModel(**{**TINY, **DIMS, **config})


def like_dit(model):
    """Give the parts that DiT has random weights, as if DiT's had been loaded; gates of SounDiT stay zero."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "adaLN_modulation" in name or name.startswith("final_layer"):
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def inputs(batch=3, length=3, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return {
        "sample": torch.randn(batch, 4, 4, 4, generator=generator),
        "timestep": torch.randint(1000, (batch,), generator=generator),
        "soundscape_tokens": torch.randn(batch, length, 128, generator=generator),
        "soundscape_summary": torch.randn(batch, 128, generator=generator),
        "scene": torch.randn(batch, 128, generator=generator),
    }


def test_a_fresh_model_ignores_soundscape_and_scene():
    model, given_ = like_dit(tiny()), inputs()
    other = {**inputs(seed=9), "sample": given_["sample"], "timestep": given_["timestep"]}
    with torch.no_grad():
        assert torch.equal(model(**given_).sample, model(**other).sample)
        assert model(**given_).sample.abs().max() > 0.01


def test_every_parameter_receives_gradient_after_two_steps():
    model = like_dit(tiny())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    given_ = inputs(batch=16)
    missing = torch.arange(16) % 4 == 0
    for _ in range(3):
        optimiser.zero_grad()
        target = torch.randn(16, 4, 4, 4, generator=torch.Generator().manual_seed(5))
        guess = model(**given_, soundscape_missing=missing, scene_missing=missing.roll(1)).sample
        (guess - target).square().mean().backward()
        optimiser.step()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert dead == []


@pytest.mark.parametrize(("kind", "length"), [("pooled", 1), ("clips", 3), ("patches", 3 * 97)])
def test_every_kind_of_soundscape_token_can_be_attended_to(kind, length):
    torch.manual_seed(0)
    encoder = ImageBindModel.mini(modalities=["audio"]).eval()
    with torch.no_grad():
        heard = encoder.encode_fbanks(torch.randn(3, 3, 1, 128, 204), kind)
    assert heard.tokens.shape[1] == length
    model = tiny(token_dim=encoder.token_width(kind))
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    given_ = {**inputs(), "soundscape_summary": heard.summary}
    with torch.no_grad():
        guess = model(**{**given_, "soundscape_tokens": heard.tokens}).sample
        other = model(**{**given_, "soundscape_tokens": heard.tokens.flip(0)}).sample
    assert torch.isfinite(guess).all()
    assert (guess - other).abs().max() > 1e-4


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_dits(name):
    depth, width, heads = {
        "mini": (6, 256, 4),
        "S/2": (12, 384, 6),
        "B/2": (12, 768, 12),
        "L/2": (24, 1024, 16),
        "XL/2": (28, 1152, 16),
    }[name]
    with torch.device("meta"):
        model = SounDiTTransformer2DModel.of_size(name)
    assert (len(model.blocks), model.config.width, model.config.heads) == (depth, width, heads)


@pytest.mark.parametrize(
    "config",
    [{"width": 30, "heads": 4}, {"experts_per_sample": 9}, {"sample_size": 5}, {"time_routing": "x"}],
)
def test_sizes_that_do_not_fit_are_refused(config):
    with pytest.raises(InputError):
        tiny(**config)
