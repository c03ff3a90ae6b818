"""One measure for many small models: what they draw of the same unseen places, from the same first noises."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.errors import InputError, OutsideWorldWarning
from soundit_geo.lab import city_data
from soundit_geo.lab.drawing import Draughtsman
from soundit_geo.pss.features import JudgeFeatures
from soundit_geo.pss.fidelity import audio_image_similarity, frechet_distance, image_image_similarity
from soundit_geo.pss.judges import load_judges
from soundit_geo.pss.similarity import element_similarity, perception_distance, scene_overlap
from soundit_geo.soundit.pipeline import SounDiTPipeline
from soundit_geo.synthetic_city.words import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundit_geo.lab.preset.workshop import Workshop
    from soundit_geo.soundit.transformer import SounDiTTransformer2DModel

MEASURES: dict[str, tuple[str, bool]] = {
    "fid": ("FID, scene judge", False),
    "ais": ("AIS, win rate", True),
    "iis": ("IIS, win rate", True),
    "element": ("PSS element", True),
    "scene": ("PSS scene @1", True),
    "perception": ("PSS perception", False),
    "scene_from_sound": ("scene @1, sound alone", True),
}
"""What is measured, and whether higher is better."""


class Yardstick:
    """The test city of a workshop, judged once.

    FID is over the scene judge's features of as many pictures as there are test places; of so few it is biased upwards,
    and compares with nothing but its neighbours in the table. AIS and IIS live in the preset encoder's space.

    Parameters
    ----------
    shop : Workshop
        Its test city, and the preset whose judges see it.
    pipe : SounDiTPipeline
        Lends autoencoder, sampler and encoder.
    progress : bool, optional
        Show bars.

    Raises
    ------
    InputError
        If the preset lacks a judge.
    """

    def __init__(self, shop: Workshop, pipe: SounDiTPipeline, *, progress: bool = False) -> None:
        self.pipe, self.progress = pipe, progress
        self.judges = load_judges(shop.preset)
        if self.judges.scenes is None or self.judges.elements is None or self.judges.perception is None:
            raise InputError(f"{shop.preset} has no judge for each of the three levels; ablations need all.")
        places = city_data.load_places(shop.test)[: shop.test_sounds]
        self.fbanks = np.load(shop.test / "fbanks.npy")[: len(places)]
        rows = np.arange(len(places)) * city_data.VARIANTS
        self.real = list(np.load(shop.test / "pictures.npy", mmap_mode="r")[rows])
        self.prompts = [f"a {NAMES[place.scene][0]}" for place in places]
        self.truth = self.judges.score(self.real)
        self.look = JudgeFeatures(self.judges.scenes)
        self.features = self._features(self.real)
        self.seen = self._embedded(self.real)
        self.heard = Draughtsman(pipe, 1, progress=False).hear(self.fbanks).summary.float().numpy()

    def measure(
        self,
        model: SounDiTTransformer2DModel,
        tokens: str,
        *,
        blind: bool = False,
        steps: float = 20,
        **guidance: float,
    ) -> dict[str, float]:
        """Draw the test city with a model, and measure what it drew.

        Parameters
        ----------
        model : SounDiTTransformer2DModel
            Of the pipeline's latents and embeddings.
        tokens : str
            Kind of soundscape tokens that it takes.
        blind : bool, optional
            Draw without prompts.
        steps : int, optional
            Of the sampler.
        **guidance
            As `soundit_geo.lab.drawing.Draughtsman.draw` takes it.

        Returns
        -------
        dict of str to float
            The keys of `MEASURES`.
        """
        parts = self.pipe.components
        pipe = SounDiTPipeline(
            model,
            parts["vae"],
            parts["scheduler"],
            parts["encoder"],
            soundscape_tokens=tokens,
            world=self.pipe.config.world,
        )
        hand = Draughtsman(pipe, int(steps), progress=self.progress)
        sounds = hand.hear(self.fbanks)
        alone = hand.draw(sounds, None, "sound alone", guidance=guidance)
        drawn = alone if blind else hand.draw(sounds, self.prompts, "sound and prompt", guidance=guidance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutsideWorldWarning)
            scores, scores_alone = self.judges.score(drawn), self.judges.score(alone)
        truth, pictures = self.truth, self._embedded(drawn)
        found = {
            "fid": frechet_distance(self.features, self._features(drawn)),
            "ais": audio_image_similarity(self.heard, pictures).mean(),
            "iis": image_image_similarity(self.seen, pictures).mean(),
            "element": element_similarity(truth.element_share, scores.element_share).mean(),
            "scene": scene_overlap(truth.scene_class, scores.scene_class, 1).mean(),
            "perception": perception_distance(truth.perception, scores.perception).mean(),
            "scene_from_sound": scene_overlap(truth.scene_class, scores_alone.scene_class, 1).mean(),
        }
        return {name: round(float(value), 4) for name, value in found.items()}

    def _features(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        parts = [self.look(pictures[start : start + 48])[0] for start in range(0, len(pictures), 48)]
        return np.concatenate(parts)

    def _embedded(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        encoder: Any = self.pipe.encoder
        return np.asarray(encoder.encode_pictures(pictures).float().numpy(), np.float32)
