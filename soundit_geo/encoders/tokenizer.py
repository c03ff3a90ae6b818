"""CLIP's byte-pair tokens of scene prompts, as ImageBind reads them.

The algorithm and the vocabulary come from ``open_clip``; only its tokenizer module is loaded, because
importing the whole package takes seconds. Where ImageBind's tokenizer differs from it (the spelling of the
two marks, what counts as white space), ImageBind's way is set here.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
"""

from __future__ import annotations

import html
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch

from soundit_geo.encoders.preprocessing import sequence_of
from soundit_geo.errors import InputError, MissingFileError

START, END, PAD = 49406, 49407, 0
_MARKS = {"<|startoftext|>": START, "<|endoftext|>": END}
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def tokenize(prompts: Any, length: int = 77) -> torch.Tensor:
    """Token ids of scene prompts.

    Parameters
    ----------
    prompts : sequence of str
        One prompt per row. An empty prompt gives the two marks alone.
    length : int
        Tokens per row. A prompt that is too long is cut and keeps the end mark.

    Returns
    -------
    torch.Tensor of shape (B, length)
        int64: start mark 49406, the words, end mark 49407, then 0.

    Raises
    ------
    InputError
        If a prompt is no string, or one bare string came instead of a sequence.
    """
    prompts = sequence_of(prompts, "prompts")
    ids = torch.full((len(prompts), length), PAD, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        if not isinstance(prompt, str):
            raise InputError(f"Prompt {row} is {type(prompt).__name__} {prompt!r}; a string was expected.")
        words = _clip_tokenizer().encode(prompt)[: length - 2]
        tokens = torch.tensor([START, *words, END])
        ids[row, : len(tokens)] = tokens
    return ids


@cache
def _clip_tokenizer() -> Any:
    """open_clip's tokenizer, made to read as ImageBind's does."""
    import regex  # type: ignore[import-untyped]

    package = find_spec("open_clip")
    if package is None or not package.submodule_search_locations:
        raise MissingFileError(
            "open_clip is not installed; it carries CLIP's vocabulary. "
            "Install it with: pip install open_clip_torch"
        )
    file = Path(package.submodule_search_locations[0]) / "tokenizer.py"
    spec = spec_from_file_location("soundit_geo.encoders._open_clip_tokenizer", file)
    if spec is None or spec.loader is None:
        raise MissingFileError(f"open_clip has no tokenizer.py at {file}; reinstall open_clip_torch.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)

    tokenizer = module.SimpleTokenizer(clean="lower")
    tokenizer.encoder = {
        word: number for word, number in tokenizer.encoder.items() if number not in _MARKS.values()
    } | _MARKS
    tokenizer.cache = {mark: mark for mark in _MARKS}
    tokenizer.pat = regex.compile(_WORDS, regex.IGNORECASE)
    tokenizer.clean_fn = _clean
    return tokenizer


def _clean(text: str) -> str:
    """Mend mojibake, resolve HTML entities twice, collapse white space, lower the case."""
    import ftfy
    import regex

    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return str(regex.sub(r"\s+", " ", text)).strip().lower()
