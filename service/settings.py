"""Every setting, its unit and its limit. Read from the environment (`ENTENTE_...`) at the edge, once, and passed in.

Nothing below `app` and `cli` reads the environment; functions take what they need as arguments. Limits on what comes from
outside stand here too, as constants: they are contract (DESIGN section 8), not taste.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

TEXT_PORTION_BYTES_MAX: Final = 1 << 20
ITEM_BYTES_MAX: Final = 4 << 20
"""All portions of an item together, without files."""
FILE_BYTES_MAX: Final = 64 << 20
PORTIONS_MAX: Final = 200
IMPORT_LINE_BYTES_MAX: Final = 8 << 20
IMPORT_BATCH_ITEMS_MAX: Final = 1000
"""An import is one act per batch of at most this many items."""
IMPORT_BYTES_MAX: Final = 1 << 30
"""Of an import over HTTP; larger ones go through the command line."""
JSON_DEPTH_MAX: Final = 64
BODY_BYTES_BUFFERED_MAX: Final = 8 << 20
"""Recorded bodies up to here are held and hashed before the first byte leaves; files are hashed as they go."""
COPY_BYTES_MAX: Final = BODY_BYTES_BUFFERED_MAX - (1 << 20)
"""Of an item's texts and values as JSON writes them, escapes included: what is on record must also be able to leave."""
PAGE_BYTES_MAX: Final = 4 << 20
"""From here on a page of a list ends early, with a `next`: titles can be long."""
REQUEST_BODY_BYTES_MAX: Final = 8 << 20
"""Of a request, save files and imports, which are streamed under limits of their own."""
PAGE_LIMIT_DEFAULT: Final = 50
PAGE_LIMIT_MAX: Final = 100
SEARCH_QUERY_CHARACTERS_MAX: Final = 200
SEARCH_QUERY_WORDS_MAX: Final = 32
"""Words of a `q`; in scripts written without spaces a character is one."""
SEARCH_WORD_CHARACTERS_MAX: Final = 64
"""A longer word is found by as many of its first characters."""
TOKEN_LIFETIME_SECONDS: Final = 600
IDEMPOTENCY_HOURS: Final = 24
AUDIT_DAYS_MAX: Final = 366
"""The longest stretch of time that is counted or searched for signals at once."""
CALENDAR_DAYS_DEFAULT: Final = 90
CALENDAR_DAYS_MAX: Final = 3660
EVENT_PORTIONS_MAX: Final = 10_000
"""That one event may declassify; each is told in the difference that a second officer approves."""
OBSTACLES_TOP_DEFAULT: Final = 20
OBSTACLES_TOP_MAX: Final = 1000
"""Lines about what stands in the way of most, told at once."""
REPLAY_ENTRIES_MAX: Final = 1000
"""Entries that one request over HTTP has decided again; the command line has no such limit."""
REPLAY_SAMPLE_MAX: Final = 1_000_000
"""Entries of a sample."""
PRUNE_TILES_MAX: Final = 64
"""Tiles of 256 entries that one act prunes; others wait for it. What is left is proposed again."""
LOG_SLOTS: Final = 1024
"""Slots of the heads tree (DESIGN section 7): every log has one, secret to its partner and us."""


class Settings(BaseSettings):
    """What an operator may set. `deploy/README.md` is the operator's page about it."""

    model_config = SettingsConfigDict(env_prefix="ENTENTE_", extra="ignore", frozen=True)

    data: Path = Path("data")
    """Folder of the database (unless `database` names another), keys and files."""
    database: str | None = None
    """SQLAlchemy URL: `sqlite:///...` or `postgresql+psycopg://...`. Default: `entente.db` in the data folder."""
    highwater: Path | None = None
    """File of the high-water mark. Default: beside the data folder, as `NAME.highwater`, so that restoring the one leaves the other."""
    policies: Path = Path("policies")
    """Bundle published at the first start."""
    instance: str = "entente.local"
    """Name of this installation: `iss` of its tokens and first part of its logs' origins. Fixed at first set-up."""
    busy_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """How long a transaction waits for another's lock before the answer is 503."""
    queue_entries_max: int = Field(default=2048, ge=1)
    """Requests waiting for the log, in this worker; one more is a 503."""
    queue_entries_per_partner_max: int = Field(default=1024, ge=1)
    batch_entries_max: int = Field(default=256, ge=1, le=4096)
    """Entries committed together at most."""
    copies_cached_max: int = Field(default=20_000, ge=0)
    """Rendered copies held in memory, of at most 64 KiB each."""
    rate_per_second: float = Field(default=1000.0, gt=0)
    """Requests a second per client and worker, sustained. It guards the service; policy guards the content."""
    rate_burst: int = Field(default=2000, ge=1)
    revocation_poll_seconds: float = Field(default=0.4, gt=0, le=0.5)
    """How often a body still being sent asks whether it may go on. With the time that an answer may take, below the second of promise 8."""
    publish_compare_seconds: float = Field(default=2.0, gt=0, le=600)
    """How long a publication compares its compiled engine with stock Casbin; a few questions are asked in any case."""
    log_key_overlap_days: int = Field(default=30, ge=1, le=3660)
    """For how long after a rotation the key before it signs beside the new one."""
    root_interval_seconds: float = Field(default=60.0, ge=1, le=3600)
    """How often the heads of all logs are put under one root, whether anything happened or not."""
    unwitnessed_seconds_max: int = Field(default=0, ge=0)
    """How old the newest root that a witness has signed may be before releases stop with 503; 0 for any age."""
    retention_days: int = Field(default=0, ge=0, le=36_600)
    """For how long every entry of the release logs is kept; only older ones may be pruned, by two auditors. 0: all, for good."""
    external_issuer: str | None = None
    """`iss` of an OpenID provider whose tokens are accepted too, for clients registered under it."""
    external_audience: str | None = None
    external_jwks_url: str | None = None
    """Default: discovered from the issuer."""
    external_algorithm: Literal["ES256", "RS256"] = "RS256"
    external_token_lifetime_seconds_max: int = Field(default=600, ge=60, le=600)

    def database_url(self) -> str:
        """The URL in force."""
        return self.database or f"sqlite:///{(self.data / 'entente.db').absolute()}"
