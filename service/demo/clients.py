"""The five clients of the demo, as data. Whoever sets up the demo registers them; secrets are made there, never kept here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class DemoClient:
    """A client system: its name, its role, and for a partner's machine whose it is and for what it may ask.

    `role` is `partner`, `officer` or `auditor`. `purposes` are those beyond `none`; officers and auditors have none.
    """

    name: str
    role: str
    partner: str | None = None
    purposes: tuple[str, ...] = ()


DEMO_CLIENTS: Final = (
    DemoClient("demo-jpn", "partner", "JPN", ("EXERCISE-KEEN",)),
    DemoClient("demo-ind", "partner", "IND", ("PEACEKEEPING-UN",)),
    DemoClient("demo-gbr", "partner", "GBR"),
    DemoClient("demo-officer", "officer"),
    DemoClient("demo-auditor", "auditor"),
)
