"""Sample items and clients for `--demo`, and the mappings by which foreign documents become items.

The sample is real papers (declassified, public domain) marked for release by invented rules, and a few invented items of
today that show what the papers cannot: files, embargoes, originators, purposes. `README.md` in this folder names every
source and rule. Nothing here decides what may be released: items go through the same import as anyone's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from service.demo.clients import DEMO_CLIENTS, DemoClient
from service.demo.frus import map_document

__all__ = ["DEMO_CLIENTS", "MAPPINGS", "DemoClient", "demo_files_directory", "demo_items"]

MAPPINGS: Final[Mapping[str, Callable[[Mapping[str, object]], dict[str, Any]]]] = MappingProxyType({"frus": map_document})
"""By the name given to `entente items import --mapping`: one document of the source in, one item out, or `Rejected`."""

_DIRECTORY: Final = Path(__file__).parent


def demo_items() -> Iterator[dict[str, Any]]:
    """Every sample item in the JSON of DESIGN section 14, in an order that does not change: papers first, then invented ones."""
    for document in _lines("documents.jsonl"):
        yield map_document(document)
    yield from _lines("items.jsonl")


def demo_files_directory() -> Path:
    """The folder from which the `path` of a file portion in the sample is reckoned."""
    return _DIRECTORY


def _lines(name: str) -> Iterator[dict[str, Any]]:
    with (_DIRECTORY / name).open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
