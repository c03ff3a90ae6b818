"""Every equation of a block against a slow, literal reference: D × D matrices, loops, softmax by hand.

The reference is written from the equations, in float64 and sample by sample; it shares with the library nothing
but the values of the weights.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from soundit_geo.lab.literal import literal_forward
from soundit_geo.soundit.conditioning import (
    SceneContentMixer,
    SceneTimeMix,
    SoundscapeExperts,
    SoundscapeRouter,
)
from soundit_geo.soundit.transformer import Attention, Conditions, SounDiTBlock, SounDiTTransformer2DModel

CLOSE = {"rtol": 0.0, "atol": 1e-5}

shapes = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "tokens": st.integers(1, 7),
        "heads": st.integers(1, 3),
        "head_width": st.integers(1, 6),
        "length": st.integers(1, 6),
        "token_dim": st.integers(1, 7),
        "summary_dim": st.integers(1, 7),
        "scene_dim": st.integers(1, 7),
        "rank": st.integers(1, 5),
        "experts": st.integers(1, 5),
        "seed": st.integers(0, 10**6),
    }
)


# ------------------------------------------------------------------------------- the equations, word by word
def norm(x, eps=1e-6):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt()


def softmax(values):
    powers = [math.exp(float(value)) for value in values]
    return [power / sum(powers) for power in powers]


def silu(x):
    return x / (1 + torch.exp(-x))


def affine(weights, name, x):
    out = x @ weights[f"{name}.weight"].T
    return out + weights[f"{name}.bias"] if f"{name}.bias" in weights else out


def attend(query, key, value, heads):
    """One sample: (N, D), (L, D), (L, D) to (N, D)."""
    rows = []
    for q in query:
        parts = []
        for head in range(heads):
            cut = slice(head * len(q) // heads, (head + 1) * len(q) // heads)
            scores = [float(q[cut] @ k[cut]) / math.sqrt(len(q) // heads) for k in key]
            parts.append(sum(p * v[cut] for p, v in zip(softmax(scores), value, strict=True)))
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def mixer_by_hand(w, x, scene, mu):
    """x + s(e_c) LN(x) A(e_c), with A as a D × D matrix."""
    matrix = w["query.weight"].T @ torch.diag(torch.tanh(affine(w, "spectrum", scene))) @ w["value.weight"].T
    strength = torch.log1p(torch.exp(affine(w, "strength", scene))) * mu * torch.tanh(w["alpha"])
    return x + strength * norm(x) @ matrix


def shares_by_hand(w, summary, time, k, temperature, reading):
    """Share of every expert, 0 where it is not among the k chosen."""
    prototypes, injected = w["router.prototypes"], w["router.time.weight"] @ time
    logits = []
    for prototype in prototypes.T:
        if reading == "as_printed":
            logits.append(float(summary @ (prototype + injected)) / temperature)
        else:
            logits.append(float((summary * (1 + injected)) @ prototype) / temperature)
    weights = softmax(logits)
    chosen = sorted(range(len(weights)), key=lambda m: -weights[m])[:k]
    among = softmax([weights[m] / math.exp(w["router.log_temperature"][m]) for m in chosen])
    return [among[chosen.index(m)] if m in chosen else 0.0 for m in range(len(weights))]


def experts_by_hand(w, x, tokens, summary, time, *, heads, k, temperature, reading):
    """x + γ Σ share_m MHA(LN(x) W↓_m W↑_m, S W_K, S W_V) W_O: all experts, W_O for each."""
    shares = shares_by_hand(w, summary, time, k, temperature, reading)
    key, value = affine(w, "key", tokens), affine(w, "value", tokens)
    heard = torch.zeros_like(x)
    for share, down, up in zip(shares, w["down"], w["up"], strict=True):
        z = attend(norm(x) @ (down @ up), key, value, heads) @ w["output.weight"].T
        heard = heard + share * z
    return x + torch.tanh(affine(w, "gate", summary)) * heard


def self_attention_by_hand(w, x, heads):
    query, key, value = affine(w, "qkv", x).chunk(3, dim=-1)
    return affine(w, "proj", attend(query, key, value, heads))


def part(weights, name):
    return {key.removeprefix(name + "."): v for key, v in weights.items() if key.startswith(name + ".")}


def block_by_hand(w, x, tokens, summary, scene, time, *, heads, mu, **routing):
    modulation = part(w, "adaLN_modulation")
    shift, scale, gate, *_ = affine(modulation, "1", silu(time)).chunk(6)
    x = x + gate * self_attention_by_hand(part(w, "attn"), norm(x) * (1 + scale) + shift, heads)
    x = mixer_by_hand(part(w, "content"), x, scene, mu)
    x = experts_by_hand(part(w, "soundscape"), x, tokens, summary, time, heads=heads, **routing)
    mixed = time + torch.tanh(w["scene_time.beta"]) * affine(part(w, "scene_time"), "project", scene)
    *_, shift, scale, gate = affine(modulation, "1", silu(mixed)).chunk(6)
    inner = affine(w, "mlp.fc1", norm(x) * (1 + scale) + shift)
    gelu = 0.5 * inner * (1 + torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
    return x + gate * affine(w, "mlp.fc2", gelu)


# --------------------------------------------------------------------------------------------------- helpers
def opened(module, seed):
    """Open every gate: parameters that start at zero get random values."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        if not parameter.any():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.4
    for name, parameter in module.named_parameters():
        if name.endswith("log_temperature"):
            parameter.data = torch.randn(parameter.shape, generator=generator)
    return module.eval()


def doubles(module):
    return {name: value.detach().double() for name, value in module.state_dict().items()}


def values(seed, *shapes_):
    generator = torch.Generator().manual_seed(seed + 1)
    return [torch.randn(shape, generator=generator) for shape in shapes_]


def make_experts(s, reading="modulated", temperature=0.8):
    torch.manual_seed(s["seed"])
    return opened(
        SoundscapeExperts(
            s["heads"] * s["head_width"],
            s["heads"],
            s["token_dim"],
            s["summary_dim"],
            experts=s["experts"],
            per_sample=min(2, s["experts"]),
            rank=s["rank"],
            temperature=temperature,
            time_routing=reading,
        ),
        s["seed"],
    )


# ------------------------------------------------------------------------------------------------- the parts
@settings(max_examples=25)
@given(shapes, st.floats(-2, 2))
def test_slrcm_is_its_equation_with_the_full_matrix(s, mu):
    torch.manual_seed(s["seed"])
    width = s["heads"] * s["head_width"]
    mixer = opened(SceneContentMixer(width, s["scene_dim"], s["rank"]), s["seed"])
    x, scene = values(s["seed"], (s["batch"], s["tokens"], width), (s["batch"], s["scene_dim"]))
    with torch.no_grad():
        got = mixer(x, mixer.prepare(scene, mu))
    w = doubles(mixer)
    want = [mixer_by_hand(w, row.double(), c.double(), mu) for row, c in zip(x, scene, strict=True)]
    torch.testing.assert_close(got, torch.stack(want).float(), **CLOSE)


@pytest.mark.parametrize("fold", [True, False], ids=["folded", "unfolded"])
@pytest.mark.parametrize("reading", ["as_printed", "modulated"])
@settings(max_examples=15)
@given(shapes, st.sets(st.integers(0, 3)))
def test_experts_are_a_loop_over_all_of_them(reading, fold, s, even):
    experts = make_experts(s, reading)
    experts.folds = lambda _: fold
    width, batch = s["heads"] * s["head_width"], s["batch"]
    x, tokens, summary, time = values(
        s["seed"],
        (batch, s["tokens"], width),
        (batch, s["length"], s["token_dim"]),
        (batch, s["summary_dim"]),
        (batch, width),
    )
    missing = [
        row for row in even if row < batch
    ]  # a missing soundscape is the same null token again and again
    tokens[missing] = tokens[missing, :1]
    with torch.no_grad():
        heard = experts.prepare(tokens, summary)
        assert (heard.gate is None) is fold
        got = experts(x, heard, time)
    w = doubles(experts)
    routing = {"heads": s["heads"], "k": min(2, s["experts"]), "temperature": 0.8, "reading": reading}
    want = [
        experts_by_hand(w, *(value[b].double() for value in (x, tokens, summary, time)), **routing)
        for b in range(batch)
    ]
    torch.testing.assert_close(got, torch.stack(want).float(), **CLOSE)


@settings(max_examples=15)
@given(shapes)
def test_attention_is_softmax_by_hand(s):
    torch.manual_seed(s["seed"])
    width = s["heads"] * s["head_width"]
    attention = opened(Attention(width, s["heads"]), s["seed"])
    (x,) = values(s["seed"], (s["batch"], s["tokens"], width))
    with torch.no_grad():
        got = attention(x)
    w = doubles(attention)
    want = torch.stack([self_attention_by_hand(w, row.double(), s["heads"]) for row in x])
    torch.testing.assert_close(got, want.float(), **CLOSE)


@pytest.mark.parametrize("reading", ["as_printed", "modulated"])
@settings(max_examples=15)
@given(shapes, st.floats(0, 2), st.booleans())
def test_a_block_is_its_four_equations_in_order(reading, s, mu, fold):
    torch.manual_seed(s["seed"])
    width, batch = s["heads"] * s["head_width"], s["batch"]
    block = SounDiTBlock(
        width,
        s["heads"],
        token_dim=s["token_dim"],
        summary_dim=s["summary_dim"],
        scene_dim=s["scene_dim"],
        content_rank=s["rank"],
        experts=s["experts"],
        experts_per_sample=min(2, s["experts"]),
        expert_rank=s["rank"],
        router_temperature=0.8,
        time_routing=reading,
        eps=1e-6,
    )
    opened(block, s["seed"])
    block.soundscape.folds = lambda _: fold
    x, tokens, summary, scene, time = values(
        s["seed"],
        (batch, s["tokens"], width),
        (batch, s["length"], s["token_dim"]),
        (batch, s["summary_dim"]),
        (batch, s["scene_dim"]),
        (batch, width),
    )
    with torch.no_grad():
        got = block(x, time, block.prepare(Conditions(tokens, summary, scene, mu)))
    w = doubles(block)
    routing = {"heads": s["heads"], "k": min(2, s["experts"]), "temperature": 0.8, "reading": reading}
    want = [
        block_by_hand(w, *(v[b].double() for v in (x, tokens, summary, scene, time)), mu=mu, **routing)
        for b in range(batch)
    ]
    want = torch.stack(want).float()
    torch.testing.assert_close(got / want.abs().max(), want / want.abs().max(), **CLOSE)


# ------------------------------------------------------------------------------------------------------ laws
@settings(max_examples=20)
@given(shapes)
def test_fresh_modules_change_nothing(s):
    torch.manual_seed(s["seed"])
    width = s["heads"] * s["head_width"]
    x, tokens, summary, scene, time = values(
        s["seed"],
        (s["batch"], s["tokens"], width),
        (s["batch"], s["length"], s["token_dim"]),
        (s["batch"], s["summary_dim"]),
        (s["batch"], s["scene_dim"]),
        (s["batch"], width),
    )
    mixer, mix = SceneContentMixer(width, s["scene_dim"], s["rank"]), SceneTimeMix(width, s["scene_dim"])
    experts = SoundscapeExperts(
        width, s["heads"], s["token_dim"], s["summary_dim"],
        experts=4, per_sample=2, rank=s["rank"], temperature=1.0, time_routing="modulated",
    )  # fmt: skip
    for fold in (True, False):
        experts.folds = lambda _, fold=fold: fold
        assert torch.equal(experts(x, experts.prepare(tokens, summary), time), x)
    assert torch.equal(mixer(x, mixer.prepare(scene)), x)
    assert torch.equal(mix(time, mix.prepare(scene)), time)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_the_printed_router_cannot_see_time_and_the_modulated_one_can(seed):
    torch.manual_seed(seed)
    summary, one, two = values(seed, (4, 12), (4, 8), (4, 8))
    for reading in ("as_printed", "modulated"):
        router = SoundscapeRouter(8, 12, 4, 2, 1.0, reading)
        torch.nn.init.normal_(router.time.weight)
        affine_in_time = router.prepare(summary)
        difference = (router.weights(*affine_in_time, one) - router.weights(*affine_in_time, two)).abs().max()
        assert difference < 1e-5 if reading == "as_printed" else difference > 1e-4


@settings(max_examples=15)
@given(shapes)
def test_with_a_single_soundscape_token_all_experts_say_the_same(s):
    """Attention over one token is 1 whatever the query: `pooled` tokens leave routing nothing to choose."""
    experts = make_experts({**s, "length": 1})
    x, tokens, summary, time = values(
        s["seed"],
        (2, 3, s["heads"] * s["head_width"]),
        (2, 1, s["token_dim"]),
        (2, s["summary_dim"]),
        (2, s["heads"] * s["head_width"]),
    )
    with torch.no_grad():
        change = experts(x, experts.prepare(tokens, summary), time) - x
        constant = torch.tanh(experts.gate(summary))[:, None] * experts.output(experts.value(tokens))
    torch.testing.assert_close(change, constant.expand_as(change), **CLOSE)


def test_mu_scales_the_scenes_share():
    torch.manual_seed(0)
    mixer = opened(SceneContentMixer(12, 5, 3), 0)
    x, scene = values(0, (2, 4, 12), (2, 5))
    with torch.no_grad():
        one, none, three = (mixer(x, mixer.prepare(scene, mu)) - x for mu in (1.0, 0.0, 3.0))
    assert one.abs().max() > 1e-3
    assert torch.equal(none, torch.zeros_like(none))
    torch.testing.assert_close(three, 3 * one, **CLOSE)


# ------------------------------------------------------------------------------------------- the whole model
def small_model(**config):
    torch.manual_seed(0)
    shape = {"sample_size": 8, "depth": 2, "width": 32, "heads": 4, "content_rank": 4, "expert_rank": 4}
    dims = {"token_dim": 12, "summary_dim": 10, "scene_dim": 8}
    return opened(SounDiTTransformer2DModel(**{**shape, **dims, **config}), 0)


def small_inputs(length=5):
    latent, tokens, summary, scene = values(3, (3, 4, 8, 8), (3, length, 12), (3, 10), (3, 8))
    return latent, {"soundscape_tokens": tokens, "soundscape_summary": summary, "scene": scene}


def test_the_literal_model_of_the_bench_predicts_the_same():
    model = small_model()
    latent, given_ = small_inputs()
    missing = torch.tensor([True, False, False])
    steps = torch.tensor([0, 500, 999])
    with torch.no_grad():
        got = model(latent, steps, **given_, scene_missing=missing, scene_strength=0.7).sample
        conditions = model.conditions(*given_.values(), scene_missing=missing, scene_strength=0.7)
        want = literal_forward(model, latent, steps, conditions)
    torch.testing.assert_close(got / want.abs().max(), want / want.abs().max(), **CLOSE)


@pytest.mark.parametrize("length", [1, 5, 400])
def test_prepared_conditions_and_one_common_timestep_change_nothing(length):
    model = small_model()
    latent, given_ = small_inputs(length)
    with torch.no_grad():
        prepared = model.prepare(model.conditions(*given_.values()))
        want = model(latent, torch.tensor([7, 7, 7]), **given_).sample
        got = model(latent, torch.tensor(7), prepared=prepared).sample
    torch.testing.assert_close(got, want, **CLOSE)


def test_both_forms_are_chosen_by_size():
    model = small_model()
    experts = model.blocks[0].soundscape
    forms = [experts.folds(length) for length in range(1, 400)]
    assert forms[0]
    assert not forms[-1]
    assert forms == sorted(forms, reverse=True)


def test_gradient_checkpointing_changes_no_gradient():
    latent, given_ = small_inputs()
    gradients = []
    for checkpointing in (False, True):
        model = small_model().train()
        if checkpointing:
            model.enable_gradient_checkpointing()
        model(latent, torch.tensor([1, 2, 3]), **given_).sample.square().mean().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


def test_training_and_inference_predict_the_same():
    model = small_model()
    latent, given_ = small_inputs()
    with torch.no_grad():
        quiet = model(latent, torch.tensor(3), **given_).sample
    torch.testing.assert_close(model(latent, torch.tensor(3), **given_).sample, quiet, **CLOSE)


@pytest.mark.parametrize("length", [5, 400], ids=["folded", "unfolded"])
def test_autocast_leaves_the_residual_stream_in_float32(length):
    model = small_model()
    latent, given_ = small_inputs(length)
    kept = []
    for block in model.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: kept.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        guess = model(latent, torch.tensor(500), **given_).sample
        plain = small_model()
    assert kept == [torch.float32] * len(model.blocks)
    with torch.no_grad():
        want = plain(latent, torch.tensor(500), **given_).sample
    torch.testing.assert_close(guess.float(), want, rtol=0, atol=0.05 * float(want.abs().max()))


@pytest.mark.parametrize("how", ["cast", "autocast"])
def test_the_printed_router_cannot_see_time_in_half_precision_either(how):
    torch.manual_seed(0)
    router = SoundscapeRouter(64, 64, 6, 2, 1.0, "as_printed")
    torch.nn.init.normal_(router.time.weight, std=3.0)
    summary, one, two = values(0, (32, 64), (32, 64), (32, 64))
    if how == "cast":
        router, summary, one, two = (part.to(torch.bfloat16) for part in (router, summary, one, two))
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"), torch.no_grad():
        affine_in_time = router.prepare(summary)
        first, second = (router.weights(*affine_in_time, time) for time in (one, two))
    torch.testing.assert_close(first, second, rtol=0.0, atol=1e-6)
