"""Release of an item end to end, against a bare FastAPI route that returns the same bytes.

End to end: token check, decision, durable leaf and sealed record, receipt to be had; no `Idempotency-Key`; an item of 4 kB;
32 connections; SQLite at full durability. Sides alternate; the ratio is of each round's pair.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from service.identity.clients import Role
from service.policy import read_directory
from service.settings import Settings
from service.sharing import importing, item_files
from service.sharing.acts import Actor
from service.sharing.asks import Asker, ItemAsk
from service.sharing.installation import open_installation
from tests.bench.servers import REPOSITORY, requests_per_second, server

CONNECTIONS = 32
SECONDS = 4.0
_TEXT_CHARACTERS = 3650


def run(*, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        item_id, token, body = prepare(data)
        body_file = Path(folder) / "body.json"
        body_file.write_bytes(body)
        path = f"/v1/items/{item_id}"
        quiet = {"ENTENTE_RATE_PER_SECOND": "1000000", "ENTENTE_RATE_BURST": "10000000"}
        with (
            server("tests.bench.bare:app", BENCH_BODY=str(body_file)) as bare,
            server("service.app:from_environment", factory=True, ENTENTE_DATA=str(data), **quiet) as ours,
        ):
            for port in (bare, ours):
                requests_per_second(port, path, token=token, connections=CONNECTIONS, seconds=1.0)
            pairs = []
            for _ in range(rounds):
                peer = requests_per_second(bare, path, token=token, connections=CONNECTIONS, seconds=SECONDS)
                own = requests_per_second(ours, path, token=token, connections=CONNECTIONS, seconds=SECONDS)
                pairs.append((own, peer))
    ratios = sorted(own / peer for own, peer in pairs)
    print(f"release of an item of {len(body)} bytes, {CONNECTIONS} connections, {rounds} rounds of {SECONDS:.0f} s")
    print(f"  entente      {statistics.median(own for own, _ in pairs):8.0f} releases a second (median)")
    print(f"  bare FastAPI {statistics.median(peer for _, peer in pairs):8.0f} answers a second (median)")
    print(f"  ratio        {statistics.median(ratios):8.3f} (median; {ratios[0]:.3f} to {ratios[-1]:.3f})")


def prepare(data: Path) -> tuple[str, str, bytes]:
    """An installation with an item: its id, a partner's token, and the body it gets."""
    installation = open_installation(Settings(data=data))
    actor = Actor("bench", "cli")
    installation.publishing.publish(read_directory(REPOSITORY / "policies"), actor)
    client, _ = installation.registry.add("bench-jpn", Role.PARTNER, partner="JPN")
    marked = {"marking": "(S//REL TO USA, JPN)"}
    item = {
        "ref": "bench/1",
        "marking": "SECRET//REL TO USA, JPN",
        "categories": ["MARITIME"],
        "portions": [{"kind": "title", "text": "Bench", **marked}, {"kind": "text", "text": "x" * _TEXT_CHARACTERS, **marked}],
    }
    outcome = importing.store_one(installation, item, actor, files=item_files.SentFiles(installation.database))
    item_id = outcome.item_id or ""
    asker = Asker("JPN", "none", client.id, "JPN")
    prepared = installation.gate.prepare(ItemAsk(asker, installation.copies, "/v1/items/{id}", None, item_id.encode("ascii")))
    token = installation.issuer.issue(client, installation.clock())
    installation.close()
    return item_id, token, prepared.body
