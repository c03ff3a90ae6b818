"""Hold the public docstrings of a package to numpydoc's checks, as pyproject.toml chooses them.

``numpydoc lint`` reads source text: it takes the documented fields of a dataclass for unknown parameters, and
asks for sections in private helpers. Here the package is imported, so signatures are those a caller meets.
Public is what a module's ``__all__`` names, or else what has no leading underscore. A class whose constructor
is inherited need not describe it.
"""

# ruff: noqa: INP001, T201

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from numpydoc.validate import validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def modules(package: str) -> Iterator[ModuleType]:
    """Import a package and all that it holds."""
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not found.name.rpartition(".")[2].startswith("__"):
            yield importlib.import_module(found.name)


def public(module: ModuleType) -> Iterator[tuple[str, bool]]:
    """Name the functions, classes and methods of a module, and whether parameters are theirs."""
    listed = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    for name in listed:
        thing = vars(module).get(name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)) or thing.__module__ != module.__name__:
            continue
        made = (
            [thing]
            if inspect.isfunction(thing)
            else [vars(thing).get(new) for new in ("__init__", "__new__")]
        )
        yield (
            f"{module.__name__}.{name}",
            any(getattr(function, "__module__", None) == module.__name__ for function in made),
        )
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
                written = inspect.isfunction(inner) and inner.__module__ == module.__name__
                if written and not member.startswith("_") and inner.__name__ == member:
                    yield f"{module.__name__}.{name}.{member}", True


def main(package: str) -> int:
    """Print what falls short; 1 where something does."""
    settings = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["numpydoc_validation"]
    checks = set(settings["checks"])
    excluded = [re.compile(pattern) for pattern in settings.get("exclude", [])]
    count = short = 0
    for module in modules(package):
        for name, with_parameters in public(module):
            if any(pattern.search(name) for pattern in excluded):
                continue
            count += 1
            result = validate(name)
            for code, message in result["errors"]:
                if code in checks and (with_parameters or code != "PR01"):
                    short += 1
                    file = Path(result["file"]).name if result["file"] else "?"
                    print(f"{name} ({file}:{result['file_line']}): {code} {message}")
    print(f"numpydoc: {count} public docstrings, {short} shortcomings")
    return bool(short)


if __name__ == "__main__":
    sys.path.insert(0, ".")
    sys.exit(main(sys.argv[1]))
