"""What is on record can also leave: no item and no page grows beyond what is held and hashed before the first byte."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.identity.clients import Role
from service.policy import read_directory
from service.settings import BODY_BYTES_BUFFERED_MAX, PAGE_BYTES_MAX, Settings
from service.sharing import importing, item_files
from service.sharing.acts import Actor
from service.sharing.installation import Installation, open_installation
from service.sharing.intake import Refusal

ACTOR = Actor("machine", "cli")
LONG = '"' * (1 << 20)
"""A mebibyte of what JSON writes as two bytes each."""


def opened(folder: Path) -> tuple[Installation, str]:
    installation = open_installation(Settings(data=folder))
    installation.publishing.publish(read_directory(Path(__file__).parents[2] / "policies"), ACTOR)
    client, _ = installation.registry.add("jpn", Role.PARTNER, partner="JPN")
    return installation, installation.issuer.issue(client, installation.clock())


def item(ref: str, *portions: dict[str, Any]) -> dict[str, Any]:
    marked = [{"marking": "(U)", **portion} for portion in portions]
    return {"ref": ref, "marking": "UNCLASSIFIED", "releasable_in": "portions", "categories": ["MARITIME"], "portions": marked}


def store(installation: Installation, value: dict[str, Any]) -> None:
    importing.store_one(installation, value, ACTOR, files=item_files.SentFiles(installation.database))


def test_a_page_of_long_titles_ends_early_and_goes_on(tmp_path: Path) -> None:
    installation, token = opened(tmp_path)
    count = 5
    for number in range(count):
        store(installation, item(f"long/{number}", {"kind": "title", "text": LONG}))

    async def pages() -> list[dict[str, Any]]:
        found = []
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app(installation)), base_url="http://entente") as client:
            parameters: dict[str, str] = {}
            while True:
                answer = await client.get("/v1/items", params=parameters, headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 200
                assert len(answer.content) <= max(PAGE_BYTES_MAX, 2 * len(LONG)) + 4096 < BODY_BYTES_BUFFERED_MAX
                found.append(answer.json())
                if "next" not in found[-1]:
                    return found
                parameters = {"cursor": found[-1]["next"]}

    installation.gate.start()
    try:
        listed = [line["id"] for page in asyncio.run(pages()) for line in page["items"]]
    finally:
        installation.close()
    assert len(listed) == len(set(listed)) == count


@pytest.mark.parametrize("text", [LONG, "\x01" * (1 << 19)], ids=["quotes", "control-characters"])
def test_an_item_that_could_be_recorded_but_not_sent_is_refused(tmp_path: Path, text: str) -> None:
    installation, _ = opened(tmp_path)
    try:
        with pytest.raises(Refusal) as refused:
            store(installation, item("large/1", *[{"kind": "text", "text": text}] * 4))
        assert refused.value.code == "item-too-large"
        store(installation, item("large/2", *[{"kind": "text", "text": text}] * 2))
    finally:
        installation.close()
