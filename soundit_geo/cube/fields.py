"""Names of table columns that geographic information systems and databases take."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 63
"""Bytes of a column's name in UTF-8: PostgreSQL cuts longer ones, silently."""


def field_names(
    wanted: Iterable[str], *, taken: Iterable[str] = (), longest: int = LONGEST, keep_case: bool = False
) -> list[str]:
    """Turn texts into field names, each unique whatever the case of its letters.

    Parameters
    ----------
    wanted : iterable of str
        Any texts.
    taken : iterable of str
        Names that are in use already.
    longest : int
        Bytes of a name, from 8.
    keep_case : bool
        Whether capitals stay.

    Returns
    -------
    list of str
        In order: letters (lower case unless `keep_case`) and digits of any script and ``_``; of names that would be
        equal, the later ones end in ``_2``, ``_3``, ...
    """
    seen = {name.casefold() for name in taken}
    names = []
    for text in wanted:
        plain = _cut(_plain(text, keep_case=keep_case), longest)
        name, count = plain, 1
        while name.casefold() in seen:
            count += 1
            name = f"{_cut(plain, longest - len(f'_{count}'))}_{count}"
        seen.add(name.casefold())
        names.append(name)
    return names


def _plain(text: str, *, keep_case: bool) -> str:
    """Keep letters, digits and the marks of letters; all else becomes one ``_``."""
    whole = unicodedata.normalize("NFKC", text)
    whole = whole if keep_case else whole.lower()
    kept = "".join(sign if sign.isalnum() or unicodedata.combining(sign) else " " for sign in whole)
    return "_".join(kept.split()) or "x"


def _cut(name: str, longest: int) -> str:
    return name.encode()[:longest].decode(errors="ignore").rstrip("_") or "x"
