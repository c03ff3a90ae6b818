"""Training samples, numbered from 0: sample n is a function of (seed, n) and of nothing else.

Which row it shows, at which timestep, under which noise, with which prompt and without which conditions, is
drawn from a generator of its own. So the samples of a step are the same after a stop, on any number of
processes, and however a batch is cut into parts.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from soundit_geo.soundit.training.cache import Cache
    from soundit_geo.soundit.training.config import TrainingConfig

TIMESTEPS = 1000
Sample = dict[str, "Tensor"]


class SampleStream(Dataset[Sample]):
    """All samples of a run.

    Parameters
    ----------
    cache : Cache
        The rows.
    config : TrainingConfig
        Seed, order and probabilities.
    """

    def __init__(self, cache: Cache, config: TrainingConfig) -> None:
        self.cache = cache
        self.config = config
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)

    def __len__(self) -> int:
        return self.config.steps * self.config.batch_size

    def __getitem__(self, number: int) -> Sample:
        """One sample.

        Parameters
        ----------
        number : int
            Counted from 0 over the whole run.

        Returns
        -------
        dict of str to torch.Tensor
            ``latents`` (C, H, W), scaled; ``noise`` (C, H, W); ``timestep`` (); ``tokens`` (L, d_s);
            ``summary`` (d_s,); ``scene`` (d_c,); ``soundscape_missing`` and ``scene_missing`` () bool.
        """
        config, about = self.config, self.cache.description
        row = self.cache[self.row(number)]
        draw = self._generator("sample", number)
        timestep = torch.randint(TIMESTEPS, (), generator=draw)
        both, soundscape, scene, prompt = torch.rand(4, generator=draw).tolist()
        noise, deviation = torch.randn(2, *about.latent, generator=draw)  # (C, H, W) each

        latents = row["latent_mean"]
        if about.posterior:
            latents = latents + (0.5 * row["latent_logvar"]).exp() * deviation
        prompts = int(row["scene_count"])
        return {
            "latents": (latents - about.shift_factor) * about.scaling_factor,
            "noise": noise,
            "timestep": timestep,
            "tokens": row["tokens"],
            "summary": row["summary"],
            "scene": row["scenes"][int(prompt * prompts)],
            "soundscape_missing": torch.tensor(
                both < config.drop_both or soundscape < config.drop_soundscape
            ),
            "scene_missing": torch.tensor(
                both < config.drop_both or scene < config.drop_scene or not prompts
            ),
        }

    def row(self, number: int) -> int:
        """Row of the cache that a sample shows: every epoch shows each row once, in an order of its own.

        Parameters
        ----------
        number : int
            Of the sample.

        Returns
        -------
        int
            Counted from 0.
        """
        epoch, place = divmod(number, len(self.cache))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return int(self._order[place])

    def _shuffled(self, epoch: int) -> Tensor:
        draw = self._generator("epoch", epoch)
        if self.config.order == "rows":
            return torch.randperm(len(self.cache), generator=draw)
        counts = torch.tensor(self.cache.shard_rows)
        starts = counts.cumsum(0) - counts
        shards = torch.randperm(len(counts), generator=draw).tolist()
        return torch.cat(
            [starts[shard] + torch.randperm(int(counts[shard]), generator=draw) for shard in shards]
        )

    def _generator(self, what: str, number: int) -> torch.Generator:
        digest = hashlib.blake2b(f"{self.config.seed}/{what}/{number}".encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def batches(stream: SampleStream, start: int, process: int, processes: int) -> Iterator[Sample]:
    """Batches of one process, from a step on: `accumulation` of them per step.

    Parameters
    ----------
    stream : SampleStream
        All samples.
    start : int
        First step, counted from 0.
    process, processes : int
        Which process of how many; each takes its share of every part.

    Yields
    ------
    dict of str to torch.Tensor
        As from the stream, with a batch axis in front.
    """
    config = stream.config
    share = config.batch_size // (processes * config.accumulation)
    firsts = range(start * config.batch_size, len(stream), share * processes)
    numbers = (
        list(range(first + process * share, first + (process + 1) * share)) for first in firsts
    )  # lazily, for there are many
    yield from DataLoader(
        stream,
        batch_sampler=numbers,
        num_workers=config.workers,
        pin_memory=torch.cuda.is_available(),
    )
