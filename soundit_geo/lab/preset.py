"""Train what ships in ``presets/synthetic-city``: autoencoder, encoder, judges, SounDiT-mini.

Each stage can be stopped and run again; it then goes on from its last checkpoint. A finished stage writes its
component into the preset folder as half-precision safetensors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from soundit_geo.errors import InputError
from soundit_geo.lab import city_data
from soundit_geo.lab.loop import Plan, fit
from soundit_geo.synthetic_city.place import LEVELS, SCENES
from soundit_geo.synthetic_city.words import NAMES, UNSEEN, caption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.pss.embedded import EmbeddedJudge
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder
    from soundit_geo.synthetic_city.place import Place

TRAIN_SEED, TEST_SEED = 1, 2


@dataclass(frozen=True)
class Workshop:
    """Where training happens.

    Parameters
    ----------
    work : pathlib.Path
        Data and checkpoints; large, never committed.
    preset : pathlib.Path
        The finished components.
    places, test_places : int
        Places of the training and of the test city.
    sounds, test_sounds : int
        How many of them are also heard.
    start : pathlib.Path, optional
        A finished preset whose weights the stages begin with; random ones by default.
    """

    work: Path
    preset: Path
    places: int = 24_000
    test_places: int = 1200
    sounds: int = 24_000
    test_sounds: int = 1200
    start: Path | None = None

    @property
    def train(self) -> Path:
        """Folder of the training city."""
        return self.work / "train"

    @property
    def test(self) -> Path:
        """Folder of the test city, which training never sees."""
        return self.work / "test"


def _begin(shop: Workshop, part: str, model: Any) -> None:
    """Give a model the weights of the preset that the workshop starts from, if there is one."""
    if shop.start is not None:
        model.load_state_dict(type(model).from_pretrained(shop.start / part).float().state_dict())


def _steps(shop: Workshop, part: str, steps: int, key: str = "steps") -> dict[str, int]:
    """Steps of this training, and of those before it where it went on from a finished preset."""
    if shop.start is None:
        return {key: steps}
    before = json.loads((shop.start / part / "figures.json").read_text())
    return {key: steps, f"{key}_before": before[key] + before.get(f"{key}_before", 0)}


def _rows(generator: torch.Generator, count: int, batch: int) -> np.ndarray:
    return torch.randint(count, (batch,), generator=generator).numpy()


def _pixels(pictures: np.ndarray) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def data(shop: Workshop) -> None:
    """Make the pictures of the two cities.

    Parameters
    ----------
    shop : Workshop
        Where.
    """
    city_data.make_pictures(shop.train, shop.places, TRAIN_SEED)
    city_data.make_pictures(shop.test, shop.test_places, TEST_SEED)


def sounds(shop: Workshop) -> None:
    """Make the sounds of the two cities.

    Parameters
    ----------
    shop : Workshop
        Where.
    """
    data(shop)
    city_data.make_sounds(shop.test, shop.test_sounds)
    city_data.make_sounds(shop.train, shop.sounds)


def vae(shop: Workshop, steps: int = 1800) -> None:
    """Train the autoencoder on crops: absolute error of pixels and of their gradients, and a light KL term.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 16 crops of 64 × 64.
    """
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder

    data(shop)
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    model = FoldingAutoencoder()
    _begin(shop, "vae", model)
    crop = 64

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = _rows(generator, len(pictures), 16)
        corners = 4 * torch.randint((city_data.SIZE - crop) // 4 + 1, (16, 2), generator=generator).numpy()
        pieces = [
            pictures[row, top : top + crop, left : left + crop]
            for row, (top, left) in zip(rows, corners, strict=True)
        ]
        real = _pixels(np.stack(pieces))
        drawn, posterior = model(real, generator)
        pixel = functional.l1_loss(drawn, real)
        edges = functional.l1_loss(drawn.diff(dim=2), real.diff(dim=2))
        edges = edges + functional.l1_loss(drawn.diff(dim=3), real.diff(dim=3))
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        return {"loss": pixel + edges + 3e-4 * kl, "pixel": pixel.detach(), "kl": kl.detach()}

    trained = fit(
        model, losses, Plan(steps, rate=1e-3, decay=0.0, average=0.995), shop.work / "stages", "vae"
    )
    with torch.inference_mode():
        latents = trained.encode(_pixels(pictures[:512])).latent_dist.mean
    trained.register_to_config(scaling_factor=float(1 / latents.std()), shift_factor=float(latents.mean()))
    _ship(trained, shop.preset / "vae", {**_reconstruction(trained, shop), **_steps(shop, "vae", steps)})


def encoder(shop: Workshop, steps: int = 2000) -> None:
    """Train ImageBind-mini: sound, words and pictures of one place together, those of other places apart.

    Symmetric InfoNCE over the three pairs, with half of the target's weight spread over places of the same scene;
    two helper heads on the sound vector (scene, levels), thrown away afterwards, make it learn sooner.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 64 places, of which 32 also bring a picture.
    """
    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.encoders.tokenizer import tokenize

    sounds(shop)
    fbanks = np.load(shop.train / "fbanks.npy", mmap_mode="r")
    places = city_data.load_places(shop.train)[: len(fbanks)]
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    labels, levels = _truth(places)
    model = ImageBindModel.mini()
    _begin(shop, "encoder", model)
    heads = torch.nn.Linear(model.joint_dim, len(SCENES) + len(LEVELS))
    whole = torch.nn.ModuleDict({"model": model, "heads": heads})

    def agreement(first: Tensor, second: Tensor, target: Tensor) -> Tensor:
        logits = 20.0 * functional.normalize(first, dim=-1) @ functional.normalize(second, dim=-1).T
        return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = _rows(generator, len(places), 64)
        clip = torch.randint(3, (64,), generator=generator).numpy()
        sound = model.encode_fbanks(torch.from_numpy(fbanks[rows, clip].astype(np.float32))[:, None]).summary
        words = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        text = model.encode_tokens(tokenize([caption(places[row], words) for row in rows]))
        seen = _pixels(pictures[rows[:32] * city_data.VARIANTS])
        vision = model.encode_pixels(seen)
        label = labels[rows]
        same = (label[:, None] == label[None]).float()
        target = 0.5 * torch.eye(64) + 0.5 * same / same.sum(dim=1, keepdim=True)
        part = target[:32, :32] / target[:32, :32].sum(dim=1, keepdim=True)
        contrast = agreement(sound, text, target) + agreement(text[:32], vision, part)
        contrast = contrast + agreement(sound[:32], vision, part)
        guess = heads(sound / 20.0 * model.joint_dim**0.5)
        scene = functional.cross_entropy(guess[:, : len(SCENES)], label)
        level = functional.mse_loss(guess[:, len(SCENES) :], levels[rows])
        return {
            "loss": contrast + scene + 4.0 * level,
            "contrast": contrast.detach(),
            "scene": scene.detach(),
            "level": level.detach(),
        }

    trained = fit(
        whole, losses, Plan(steps, rate=1e-3, decay=0.02, average=0.99), shop.work / "stages", "encoder"
    )
    best = trained["model"]
    clips = torch.from_numpy(np.load(shop.test / "fbanks.npy").astype(np.float32))
    test = city_data.load_places(shop.test)[: len(clips)]
    truth, _ = _truth(test)
    with torch.inference_mode():
        names = functional.normalize(_scene_vectors(best), dim=-1)
        heard = torch.cat([best.encode_fbanks(piece).summary for piece in clips.split(64)])
        rank = (functional.normalize(heard, dim=-1) @ names.T).argsort(dim=1, descending=True)
        found = rank == truth[:, None]
        rng = np.random.default_rng(TEST_SEED)
        said = best.encode_tokens(tokenize([caption(place, rng) for place in test]))
        read = (functional.normalize(said, dim=-1) @ names.T).argmax(dim=1) == truth
        free = [(prompt, SCENES.index(scene)) for scene, prompts in UNSEEN.items() for prompt in prompts]
        asked = functional.normalize(best.encode_scenes([prompt for prompt, _ in free]), dim=-1) @ names.T
        understood = asked.argmax(dim=1) == torch.tensor([scene for _, scene in free])
    figures = {
        **_steps(shop, "encoder", steps),
        "scene_from_sound_top1": float(found[:, 0].float().mean()),
        "scene_from_sound_top3": float(found[:, :3].any(dim=1).float().mean()),
        "scene_from_caption_top1": float(read.float().mean()),
        "scene_from_unseen_phrasing_top1": float(understood.float().mean()),
        "unseen_phrasings": len(free),
        "test_places": len(test),
    }
    _ship(best, shop.preset / "encoder", figures)


def _truth(places: list[Place]) -> tuple[Tensor, Tensor]:
    """Index of the scene, and the levels, of each place."""
    labels = torch.tensor([SCENES.index(place.scene) for place in places])
    levels = torch.tensor([[getattr(place, name) for name in LEVELS] for place in places])
    return labels, levels


def _scene_vectors(model: ImageBindModel) -> Tensor:
    """(12, d): the mean direction of each scene's names."""
    vectors = [
        functional.normalize(model.encode_scenes(list(NAMES[scene])), dim=-1).mean(dim=0) for scene in SCENES
    ]
    return torch.stack(vectors)


def elements(shop: Workshop, steps: int = 4000) -> None:
    """Train the element judge on exact masks.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 16 pictures.
    """
    from soundit_geo.pss.elements import EmbeddedElementJudge
    from soundit_geo.synthetic_city.picture import ELEMENT_IDS

    data(shop)
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    masks = np.load(shop.train / "masks.npy", mmap_mode="r")
    ids = sorted(ELEMENT_IDS.values())
    index = torch.full((150,), -100)
    index[ids] = torch.arange(len(ids))
    model = EmbeddedElementJudge(classes=ids)
    _begin(shop, "judges/elements", model)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = _rows(generator, len(pictures), 16)
        target = index[torch.from_numpy(masks[rows]).long()]
        return {"loss": functional.cross_entropy(model(_worn(_pixels(pictures[rows]), generator)), target)}

    best = _judge(shop, model, losses, Plan(steps, rate=2e-3, average=0.99), "elements")
    guess = _on_unseen(shop, lambda piece: best(piece).argmax(dim=1))
    true = index[torch.from_numpy(np.load(shop.test / "masks.npy", mmap_mode="r")[:1000]).long()]
    overlap = []
    for element in range(len(ids)):
        either = ((guess == element) | (true == element)).sum().item()
        if (true == element).any():
            overlap.append(((guess == element) & (true == element)).sum().item() / either)
    figures = {
        **_steps(shop, "judges/elements", steps),
        "mean_iou": float(np.mean(overlap)),
        "classes": len(overlap),
    }
    _ship(best, shop.preset / "judges" / "elements", figures)


def scenes(shop: Workshop, steps: int = 800) -> None:
    """Train the scene judge on the known scenes.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 32 pictures.
    """
    from soundit_geo.classes import PLACES365
    from soundit_geo.pss.scenes import EmbeddedSceneJudge

    data(shop)
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    every = city_data.VARIANTS
    labels = _truth(city_data.load_places(shop.train))[0].repeat_interleave(every)
    model = EmbeddedSceneJudge(classes=[PLACES365.index(scene) for scene in SCENES])
    _begin(shop, "judges/scenes", model)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = _rows(generator, len(pictures), 32)
        guess = model(_worn(_pixels(pictures[rows]), generator))
        return {"loss": functional.cross_entropy(guess, labels[rows])}

    best = _judge(shop, model, losses, Plan(steps, rate=2e-3, average=0.99), "scenes", labels)
    unseen = _pixels(np.load(shop.test / "pictures.npy", mmap_mode="r")[:1000])
    true = _truth(city_data.load_places(shop.test))[0].repeat_interleave(every)[:1000]
    with torch.inference_mode():
        guess = torch.cat([best(piece).argmax(dim=1) for piece in unseen.split(50)])
    figures = {**_steps(shop, "judges/scenes", steps), "accuracy": float((guess == true).float().mean())}
    _ship(best, shop.preset / "judges" / "scenes", figures)


def perception(shop: Workshop, steps: int = 1000) -> None:
    """Train the perception judge on scores of the documented formula, with the noise of a panel.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 32 pictures.
    """
    from soundit_geo.pss.perception import EmbeddedPerceptionJudge
    from soundit_geo.synthetic_city.perception import perceive
    from soundit_geo.synthetic_city.picture import element_share

    data(shop)
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")

    def felt(folder: Path, count: int | None, rng: np.random.Generator | None) -> Tensor:
        places = city_data.load_places(folder)
        masks = np.load(folder / "masks.npy", mmap_mode="r")[:count]
        every = city_data.VARIANTS
        rows = [perceive(places[row // every], element_share(mask), rng) for row, mask in enumerate(masks)]
        return torch.from_numpy(np.stack(rows))

    scores = felt(shop.train, None, np.random.default_rng(TRAIN_SEED))
    model = EmbeddedPerceptionJudge()
    _begin(shop, "judges/perception", model)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = _rows(generator, len(pictures), 32)
        return {"loss": functional.mse_loss(model(_worn(_pixels(pictures[rows]), generator)), scores[rows])}

    best = _judge(shop, model, losses, Plan(steps, rate=2e-3, average=0.99), "perception")
    true = felt(shop.test, 1000, None)
    guess = _on_unseen(shop, best)
    unexplained = (guess - true).square().mean(dim=0) / true.var(dim=0)
    figures = {
        **_steps(shop, "judges/perception", steps),
        "r2": [round(1 - float(part), 4) for part in unexplained],
    }
    _ship(best, shop.preset / "judges" / "perception", figures)


def _on_unseen(shop: Workshop, answer: Callable[[Tensor], Tensor]) -> Tensor:
    """What a judge says of 1,000 pictures of the test city."""
    unseen = _pixels(np.load(shop.test / "pictures.npy", mmap_mode="r")[:1000])
    with torch.inference_mode():
        return torch.cat([answer(piece) for piece in unseen.split(50)])


def _judge(
    shop: Workshop,
    model: EmbeddedJudge,
    losses: Callable[[torch.Generator], dict[str, Tensor]],
    plan: Plan,
    name: str,
    groups: Tensor | None = None,
) -> Any:
    """Train a judge, then show it 4,000 training pictures, a third of them worn: what it calls its world."""
    best = fit(model, losses, plan, shop.work / "stages", name)
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(pictures), generator=generator)[:4000].sort().values
    with torch.inference_mode():
        parts = [best.features(_worn(_pixels(pictures[few.numpy()]), generator)) for few in rows.split(50)]
    best.fit_world(torch.cat(parts), None if groups is None else groups[rows])
    return best


def _worn(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Blur and noise as a decoder leaves them, on a random half of the pictures."""
    worn = functional.avg_pool2d(functional.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    worn = worn + 0.03 * torch.randn(worn.shape, generator=generator)
    return torch.where(torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.35, worn, pixels)


def decoder(shop: Workshop, steps: int = 1500) -> None:
    """Sharpen the autoencoder's decoder while its encoder, and with it every cached latent, stays as it is.

    To the errors of pixels and edges comes a perceptual one: the distance of the feature maps of the element
    judge's trunk at a quarter of the picture's size and below.

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 8 whole pictures.
    """
    from soundit_geo.pss.elements import EmbeddedElementJudge
    from soundit_geo.soundit.autoencoder import DEVIATION, FoldingAutoencoder

    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")
    model = FoldingAutoencoder.from_pretrained(shop.preset / "vae").float()
    eye = EmbeddedElementJudge.from_pretrained(shop.preset / "judges" / "elements").float().eval()
    for frozen in (model.encoder, eye):
        frozen.requires_grad_(requires_grad=False)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        real = _pixels(pictures[_rows(generator, len(pictures), 8)])
        with torch.no_grad():
            mean = model.encode(real).latent_dist.mean
            seen = eye.trunk(real)
        drawn = model.decode(mean + DEVIATION * torch.randn(mean.shape, generator=generator)).sample
        pixel = functional.l1_loss(drawn, real)
        edges = functional.l1_loss(drawn.diff(dim=2), real.diff(dim=2))
        edges = edges + functional.l1_loss(drawn.diff(dim=3), real.diff(dim=3))
        pairs = zip(eye.trunk(drawn), seen, strict=True)
        look = sum(functional.l1_loss(ours, theirs) / theirs.abs().mean() for ours, theirs in pairs)
        return {
            "loss": pixel + edges + 0.1 * look,
            "pixel": pixel.detach(),
            "edges": edges.detach(),
            "look": torch.as_tensor(look).detach(),
        }

    trained = fit(
        model, losses, Plan(steps, rate=6e-4, decay=0.0, average=0.995), shop.work / "stages", "decoder"
    )
    figures = {**_reconstruction(trained, shop), **_steps(shop, "vae", steps, "decoder_steps")}
    _ship(trained, shop.preset / "vae", figures)


def _reconstruction(vae: FoldingAutoencoder, shop: Workshop) -> dict[str, float]:
    """Mean PSNR of unseen pictures after the round trip."""
    test = _pixels(np.load(shop.test / "pictures.npy", mmap_mode="r")[:512])
    with torch.inference_mode():
        again = [vae.decode(vae.encode(part).latent_dist.mean).sample.clamp(-1, 1) for part in test.split(32)]
    error = ((torch.cat(again) - test) / 2).square().mean(dim=(1, 2, 3))
    return {"psnr_db": float((-10 * error.log10()).mean())}


CAPTIONS = 8
"""Prompts embedded for each place before the generator is trained."""

SPOT = 16
"""Edge in pixels of what one token of the generator stands for."""


def latents(shop: Workshop) -> None:
    """Cache what the autoencoder makes of the training city's pictures, and which elements stand where.

    Parameters
    ----------
    shop : Workshop
        Where.
    """
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder
    from soundit_geo.synthetic_city.picture import ELEMENT_IDS

    data(shop)
    target = shop.work / "latents.pt"
    if _made_after(target, shop.preset / "vae"):
        return
    vae = FoldingAutoencoder.from_pretrained(shop.preset / "vae").float().eval()
    pictures = np.load(shop.train / "pictures.npy", mmap_mode="r")[: shop.sounds * city_data.VARIANTS]
    masks = np.load(shop.train / "masks.npy", mmap_mode="r")
    ids = sorted(ELEMENT_IDS.values())
    index = torch.zeros(150, dtype=torch.long)
    index[ids] = torch.arange(len(ids))
    parts: list[Tensor] = []
    layout: list[Tensor] = []
    with torch.inference_mode():
        for start in tqdm(range(0, len(pictures), 64), desc="latents"):
            pixels = _pixels(pictures[start : start + 64])
            both = torch.stack([pixels, pixels.flip(-1)], dim=1).flatten(0, 1)
            mean = (vae.encode(both).latent_dist.mean - vae.config.shift_factor) * vae.config.scaling_factor
            parts.append(mean.unflatten(0, (-1, 2)).half())
            known = functional.one_hot(
                index[torch.from_numpy(masks[start : start + len(pixels)]).long()], len(ids)
            )
            share = functional.avg_pool2d(known.permute(0, 3, 1, 2).float(), SPOT)  # (B, E, h, w)
            layout.append((255.0 * share).round().to(torch.uint8).flatten(2).transpose(1, 2))
    _keep(target, latents=torch.cat(parts), layout=torch.cat(layout))


def embed(shop: Workshop) -> None:
    """Cache sound and prompt vectors of the training city.

    Parameters
    ----------
    shop : Workshop
        Where.
    """
    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.encoders.tokenizer import tokenize

    sounds(shop)
    target = shop.work / "embedded.pt"
    if _made_after(target, shop.preset / "encoder"):
        return
    model = ImageBindModel.from_pretrained(shop.preset / "encoder").float().eval()
    fbanks = np.load(shop.train / "fbanks.npy", mmap_mode="r")
    places = city_data.load_places(shop.train)[: len(fbanks)]
    rng = np.random.default_rng(TRAIN_SEED)
    tokens: list[Tensor] = []
    summary: list[Tensor] = []
    scenes: list[Tensor] = []
    with torch.inference_mode():
        for start in tqdm(range(0, len(places), 64), desc="sounds and words"):
            heard = model.encode_fbanks(torch.from_numpy(fbanks[start : start + 64].astype(np.float32)))
            tokens.append(heard.tokens)
            summary.append(heard.summary)
            said = [caption(place, rng) for place in places[start : start + 64] for _ in range(CAPTIONS)]
            scenes.append(model.encode_tokens(tokenize(said)).unflatten(0, (-1, CAPTIONS)))
    _keep(target, tokens=torch.cat(tokens), summary=torch.cat(summary), scenes=torch.cat(scenes))


def cached(shop: Workshop) -> dict[str, Tensor]:
    """Latents, layouts, sounds and prompts of the training city, made where they are missing.

    Parameters
    ----------
    shop : Workshop
        Where; P places are heard, each drawn in V variants.

    Returns
    -------
    dict of str to torch.Tensor
        ``latents`` (P × V, 2, C, h, w), as drawn and mirrored, of unit variance; ``layout`` (P × V, N, E) uint8,
        shares of the elements at each token's spot in 255ths; ``tokens`` (P, L, d); ``summary`` (P, d); ``scenes``
        (P, CAPTIONS, d).
    """
    latents(shop)
    embed(shop)
    files = (shop.work / "latents.pt", shop.work / "embedded.pt")
    seen, heard = (torch.load(file, weights_only=True, mmap=True) for file in files)
    return {**seen, **heard}


def _made_after(file: Path, part: Path) -> bool:
    return file.exists() and (part / "config.json").stat().st_mtime < file.stat().st_mtime


def _keep(file: Path, **tensors: Tensor) -> None:
    torch.save(tensors, file.with_suffix(".part"))
    file.with_suffix(".part").rename(file)


def soundit(shop: Workshop, steps: int = 12_000, rate: float = 1e-3) -> None:
    """Train SounDiT-mini on the cached city: velocity prediction over DDPM's linear schedule.

    Timesteps are drawn logit-normally, more from the middle of the schedule, where scenes and objects take shape
    (Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", ICML 2024). 8 % of the
    samples learn without any condition, 32 % from the sound alone, 5 % from the prompt alone. From the tokens half way
    through the blocks a linear helper, thrown away afterwards, names the elements at each token's spot: knowing what
    stands where early on is what saves samples (after Yu et al., "Representation Alignment for Generation", ICLR 2025,
    with exact masks in place of another network's features).

    Parameters
    ----------
    shop : Workshop
        Where.
    steps : int, optional
        Optimiser steps of 32 pictures.
    rate : float, optional
        Highest learning rate.
    """
    from diffusers import DPMSolverMultistepScheduler

    from soundit_geo.soundit.transformer import SounDiTTransformer2DModel

    cache = cached(shop)
    drawn, layout = cache["latents"], cache["layout"]
    tokens, summary, scenes = cache["tokens"], cache["summary"], cache["scenes"]
    dim = summary.shape[-1]
    model = SounDiTTransformer2DModel.of_size(
        "mini",
        in_channels=drawn.shape[2],
        token_dim=dim,
        summary_dim=dim,
        scene_dim=dim,
        content_rank=32,
        experts=4,
        experts_per_sample=2,
        expert_rank=32,
        position_step=2.0,  # as the preset that is shipped
    )
    _begin(shop, "transformer", model)
    helper = torch.nn.Linear(model.config.width, layout.shape[-1])
    whole = torch.nn.ModuleDict({"model": model, "helper": helper})
    halfway: list[Tensor] = []
    model.blocks[model.config.depth // 2 - 1].register_forward_hook(lambda *call: halfway.append(call[2]))
    scheduler = DPMSolverMultistepScheduler(
        beta_schedule="linear", beta_start=1e-4, beta_end=0.02, prediction_type="v_prediction"
    )
    batch, edge = 32, round(layout.shape[1] ** 0.5)

    def losses(generator: torch.Generator) -> dict[str, Tensor]:
        rows = torch.randint(len(drawn), (batch,), generator=generator)
        place = rows // city_data.VARIANTS
        mirrored = torch.randint(2, (batch,), generator=generator)
        said = torch.randint(CAPTIONS, (batch,), generator=generator)
        clean = drawn[rows, mirrored].float()
        noise = torch.randn(clean.shape, generator=generator)
        middling = torch.sigmoid(torch.randn(batch, generator=generator) - 0.2)
        time = (1000.0 * middling).long().clamp(max=999)
        kept = scheduler.alphas_cumprod[time][:, None, None, None]
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
        velocity = kept.sqrt() * noise - (1 - kept).sqrt() * clean
        chance = torch.rand(batch, generator=generator)
        guess = model(
            noisy,
            time,
            tokens[place],
            summary[place],
            scenes[place, said],
            soundscape_missing=(chance < 0.08) | (chance > 0.95),
            scene_missing=chance < 0.4,
        ).sample
        here = layout[rows].float() / 255.0  # (B, N, E)
        seen = torch.where(
            mirrored[:, None, None] == 1, here.unflatten(1, (edge, edge)).flip(2).flatten(1, 2), here
        )
        named = functional.log_softmax(whole["helper"](halfway.pop()), dim=-1)
        naming = -(seen * named).sum(dim=-1).mean()
        velocities = functional.mse_loss(guess, velocity)
        return {"loss": velocities + 0.1 * naming, "velocity": velocities.detach(), "naming": naming.detach()}

    plan = Plan(steps, rate=rate, warmup=300, decay=0.0, average=0.998)
    trained = fit(whole, losses, plan, shop.work / "stages", "soundit")["model"]
    seen = {
        **_steps(shop, "transformer", steps),
        **_steps(shop, "transformer", steps * batch, "pictures_seen"),
    }
    _ship(trained, shop.preset / "transformer", seen)
    scheduler.save_pretrained(shop.preset / "scheduler")


def assemble(shop: Workshop, places: int = 1008, doses: int = 12) -> None:
    """Join the components into a pipeline folder, measure it, and write its card and contact sheet.

    Parameters
    ----------
    shop : Workshop
        Where.
    places, doses : int, optional
        Unseen places that are drawn, and places of each scene whose levels are turned.
    """
    from diffusers import DPMSolverMultistepScheduler

    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.lab.evaluate import evaluate
    from soundit_geo.soundit.autoencoder import FoldingAutoencoder
    from soundit_geo.soundit.pipeline import SounDiTPipeline
    from soundit_geo.soundit.transformer import SounDiTTransformer2DModel
    from soundit_geo.weights import STAND_IN_WORLD

    pipeline = SounDiTPipeline(
        SounDiTTransformer2DModel.from_pretrained(shop.preset / "transformer"),
        FoldingAutoencoder.from_pretrained(shop.preset / "vae"),
        DPMSolverMultistepScheduler.from_pretrained(shop.preset / "scheduler"),
        ImageBindModel.from_pretrained(shop.preset / "encoder"),
        world=STAND_IN_WORLD,
        known_scenes=NAMES,
    )
    pipeline.save_config(shop.preset)
    figures = evaluate(shop.preset, shop.test, shop.work / "contact-sheet.png", places, doses)
    print(json.dumps(figures, indent=2))


def _ship(model: Any, folder: Path, figures: Mapping[str, object]) -> None:
    """Write a component in half precision, with its measured figures beside it."""
    model.half().save_pretrained(folder)
    model.float()
    for file in folder.iterdir():
        file.chmod(0o644)  # diffusers writes weights for their owner alone
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(folder.name, json.dumps(figures))


STAGES: dict[str, Callable[[Workshop], None]] = {
    "data": data,
    "sounds": sounds,
    "vae": vae,
    "encoder": encoder,
    "elements": elements,
    "scenes": scenes,
    "perception": perception,
    "decoder": decoder,
    "latents": latents,
    "embed": embed,
    "soundit": soundit,
    "assemble": assemble,
}


def train_preset(
    name: str, work: Path, out: Path, stages: list[str] | None = None, start: Path | None = None
) -> None:
    """Train a preset, or some of its stages.

    Parameters
    ----------
    name : str
        ``synthetic-city``.
    work, out : pathlib.Path
        Data and checkpoints; the finished components.
    stages : list of str, optional
        Keys of `STAGES`; all in order by default.
    start : pathlib.Path, optional
        A finished preset whose weights the stages begin with.

    Raises
    ------
    InputError
        If the name or a stage is unknown, or `start` is no preset.
    """
    if name != "synthetic-city":
        raise InputError(f"Preset {name!r} cannot be trained; there is synthetic-city.")
    unknown = [stage for stage in stages or [] if stage not in STAGES]
    if unknown:
        raise InputError(f"Stage {unknown[0]!r} is unknown; there are {', '.join(STAGES)}.")
    if start is not None and not (start / "model_index.json").is_file():
        raise InputError(f"{start} holds no preset to start from; expected a folder with model_index.json.")
    shop = Workshop(work, out, start=start)
    for stage in stages or list(STAGES):
        with torch.random.fork_rng():
            torch.manual_seed(
                TRAIN_SEED
            )  # of the first weights; every step draws from a generator of its own
            STAGES[stage](shop)


if __name__ == "__main__":
    import sys

    train_preset(
        "synthetic-city", Path("work/preset"), Path("soundit_geo/presets/synthetic-city"), sys.argv[1:]
    )
