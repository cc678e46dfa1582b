"""One installation, put together: its database, keys, policy view, gate and acts. Both the service and the command line open it.

First set-up happens once, under the database's lock: tables, name and audience (fixed from then on, never taken from host or
port), keys, the `officers` log. Opening it again changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from service.errors import Broken, Conflict
from service.identity.authentication import SecretAuthenticator
from service.identity.external import ExternalKeys, http_client
from service.identity.keys import Algorithm, KeyRing, ensure_key_file, ensure_secret_file, held_log_keys
from service.identity.rates import Rates
from service.identity.secrets import SecretHasher
from service.identity.tokens import EmbeddedIssuer, TokenVerifier, TrustSource
from service.policy import read_bundle
from service.settings import IDEMPOTENCY_HOURS, Settings
from service.sharing.acts import MACHINE, Actor, Acts, officers_draft
from service.sharing.ahead import Ahead
from service.sharing.compaction import Compactor
from service.sharing.cursors import Cursors
from service.sharing.examination import Examiner
from service.sharing.gate import Clock, Gate
from service.sharing.held import CopyCache
from service.sharing.highwater import Highwater, Keeper, Shortfall, path_of, refusal
from service.sharing.ledger import OFFICERS, Ledger
from service.sharing.personal import REASON, personal
from service.sharing.policies import Policies, ReadBundle
from service.sharing.publishing import Publishing
from service.sharing.registry import Directory, Registry
from service.sharing.rootlog import RootClock, RootLog
from service.sharing.stored import Readings
from service.sharing.witnessing import Witnessing
from service.store import Database, roots
from service.store.files import FileStore
from service.store.instance import Instance, instance_of, set_up
from service.store.migrate import migrate
from service.store.times import micros

log = logging.getLogger(__name__)

KEY_BYTES: Final = 32


def system_clock() -> datetime:
    """Now, aware and UTC. The only clock; everything below is given it, or a time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything a door needs. Nothing here is global: two installations can live in one process."""

    settings: Settings
    clock: Clock
    instance: Instance
    database: Database
    files: FileStore
    ledger: Ledger
    world: Policies
    gate: Gate
    acts: Acts
    highwater: Highwater
    keeper: Keeper
    rootlog: RootLog
    witnessing: Witnessing
    root_clock: RootClock
    compactor: Compactor
    readings: Readings
    publishing: Publishing
    registry: Registry
    directory: Directory
    keys: KeyRing
    issuer: EmbeddedIssuer
    verifier: TokenVerifier
    secrets: SecretAuthenticator
    rates: Rates
    cursors: Cursors
    copies: CopyCache
    ahead: Ahead
    close: Callable[[], None]

    def published(self) -> bool:
        """Whether a policy is in force."""
        with self.database.reading() as connection:
            return self.world.in_force(connection)

    def start(self) -> None:
        """Begin to serve: the writer of the log, the clock of the root log, what keeps high-water mark and search index, and what prepares
        copies ahead."""
        self.gate.start()
        self.root_clock.start()
        self.keeper.start()
        self.compactor.start()
        self.ahead.start()

    def note_missing_mark(self, actor: Actor) -> None:
        """Put on record that there is no high-water mark beside a log that is not empty, and begin a new one. Once, when serving begins."""
        if self.highwater.missing():
            log.warning("the high-water mark `%s` is missing: an older database would not have been noticed", self.highwater.path)
            self.acts.look("log.highwater-missing", actor, [], {})
        self.highwater.keep()

    def accept_restored(self, actor: Actor, reason: str) -> tuple[Shortfall, ...]:
        """Accept on record that the database is older than its mark, or has another history, or that a witness says so; what is lost is
        named in the leaf.

        Raises:
            Conflict: it is nothing of that.
        """
        shortfalls = self.highwater.shortfalls()
        with self.database.reading() as connection:
            halted = roots.signing(connection).halted_why
        if not shortfalls and halted is None:
            raise Conflict("the database is not behind its high-water mark; there is nothing to accept", code="nothing-lost")
        with self.acts.registering("log.restored", actor) as act:
            act.details = {
                "reason": personal(REASON, reason),
                "logs": [{"log": one.log, "expected": one.expected, "found": one.found, "forked": one.forked} for one in shortfalls],
                **({} if halted is None else {"halted": halted}),
            }
            roots.resume(act.connection)
        self.ledger.permit()
        self.highwater.replace()
        return shortfalls


def open_installation(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    read_bundle: ReadBundle = read_bundle,
    http: Callable[[], httpx.Client] = http_client,
) -> Installation:
    """Open an installation, setting it up where it is new.

    Args:
        read_bundle: makes a bundle of its files; what comes out decides. Exchanged in tests that force the engine.

    Raises:
        Broken: the data folder or database cannot be used.
        Busy: the database cannot be reached now.
    """
    folder = settings.data
    try:
        # Database, files and keys are for their owner alone. A folder that is there keeps the mode it was given.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "keys").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise Broken(f"cannot use the data folder `{folder}`: {error.strerror}") from error
    database = Database.open(settings.database_url(), busy_timeout_seconds=settings.busy_timeout_seconds)
    migrate(database)
    _check_log_key(database, folder / "keys" / "log.key")
    token_key = ensure_key_file(folder / "keys" / "token.pem")
    log_key = ensure_secret_file(folder / "keys" / "log.key", KEY_BYTES)
    cursor_key = ensure_secret_file(folder / "keys" / "cursor.key", KEY_BYTES)
    mark = path_of(settings)
    instance, fresh = _instance(database, settings, clock, log_key, mark=mark)
    ledger = Ledger(
        instance.name,
        log_key,
        held_keys=lambda: held_log_keys(folder / "keys"),
        unwitnessed_seconds_max=settings.unwitnessed_seconds_max,
    )
    with database.reading() as connection:
        ledger.refresh(connection)
    highwater = Highwater(mark, instance=instance.name, database=database)
    if fresh:
        highwater.keep()
    reason = refusal(highwater.shortfalls(), highwater.path)
    if reason is not None:
        # Still opened: what is here can be read and verified. Only nothing can be added to it.
        ledger.refuse(reason)
    keeper = Keeper(highwater, refuse=ledger.refuse)
    world = Policies(read_bundle)
    directory = Directory(database)
    directory.refresh()
    gate = Gate(
        database=database,
        ledger=ledger,
        world=world,
        clock=clock,
        may_still_ask=directory.may_still_ask,
        queue_entries_max=settings.queue_entries_max,
        queue_entries_per_partner_max=settings.queue_entries_per_partner_max,
        batch_entries_max=settings.batch_entries_max,
        idempotency_hours=IDEMPOTENCY_HOURS,
    )
    acts = Acts(database=database, ledger=ledger, world=world, clock=clock)
    readings = Readings()
    examiner = Examiner(
        database=database, world=world, read_bundle=read_bundle, compare_seconds=settings.publish_compare_seconds, readings=readings
    )
    keys = KeyRing(token_key)
    issuer = EmbeddedIssuer(keys, issuer=instance.name, audience=instance.audience)
    hasher = SecretHasher()
    client, external = _external(settings, instance, http)

    rootlog = RootLog(database=database, ledger=ledger, clock=clock, interval_seconds=settings.root_interval_seconds)
    witnessing = Witnessing(database=database, http=http, clock=clock)
    root_clock = RootClock(rootlog, interval_seconds=settings.root_interval_seconds, after=witnessing.submit)

    compactor = Compactor(database)
    copies = CopyCache(settings.copies_cached_max)
    ahead = Ahead(database=database, world=world, clock=clock, copies=copies)

    def close() -> None:
        # The gate first: the last root is of what was last released.
        gate.stop()
        root_clock.stop()
        keeper.stop()
        compactor.stop()
        ahead.stop()
        # A mark that is missing stays so until serving begins, which says it on record.
        if ledger.refusal is None and highwater.path.exists():
            keeper.keep()
        if client is not None:
            client.close()
        database.close()

    return Installation(
        settings=settings,
        clock=clock,
        instance=instance,
        database=database,
        files=FileStore(folder / "files"),
        ledger=ledger,
        world=world,
        gate=gate,
        acts=acts,
        highwater=highwater,
        keeper=keeper,
        rootlog=rootlog,
        witnessing=witnessing,
        root_clock=root_clock,
        compactor=compactor,
        readings=readings,
        publishing=Publishing(acts=acts, database=database, ledger=ledger, world=world, examiner=examiner, clock=clock),
        registry=Registry(acts=acts, database=database, instance=instance.name, hasher=hasher),
        directory=directory,
        keys=keys,
        issuer=issuer,
        verifier=TokenVerifier(directory, embedded=issuer.source(), external=external),
        secrets=SecretAuthenticator(directory, issuer=instance.name, hasher=hasher),
        rates=Rates(rate_per_second=settings.rate_per_second, burst=settings.rate_burst),
        cursors=Cursors(cursor_key),
        copies=copies,
        ahead=ahead,
        close=close,
    )


def _check_log_key(database: Database, path: Path) -> None:
    """Refuse to make a new key for logs that are there: it would sign on where another left off, and nobody would be told."""
    # In this order: whoever sets up writes the key before the row, so that one who finds the row finds the key.
    with database.reading() as connection:
        found = instance_of(connection)
    if found is not None and not path.exists():
        raise Broken(f"the key `{path}` is missing, which signs the logs of this database; restore it from a backup")


def _instance(database: Database, settings: Settings, clock: Clock, log_key: bytes, *, mark: Path) -> tuple[Instance, bool]:
    """The instance, and whether it was set up just now.

    Raises:
        Broken: it would be a new one, beside the high-water mark of one that was here before.
    """
    with database.reading() as connection:
        found = instance_of(connection)
    if found is not None:
        return found, False
    if mark.exists():
        raise Broken(
            f"the database is empty, and the high-water mark `{mark}` is of an installation that was here before: put its database back, "
            "or, where a new installation is wanted, move that file away"
        )
    with database.acting() as connection:
        # Another process may have been faster between the two transactions; what it fixed stands.
        found = instance_of(connection)
        fresh = found is None
        if found is None:
            found = Instance(settings.instance, f"https://{settings.instance}")
            at = micros(clock())
            set_up(connection, found, at=at)
            ledger = Ledger(found.name, log_key)
            heads = ledger.lock(connection, [OFFICERS])
            details = {"instance": found.name, "audience": found.audience}
            ledger.append(connection, heads, [officers_draft("instance.set-up", Actor(MACHINE, "cli"), [], details, act=0)], at=at)
    return found, fresh


def _external(settings: Settings, instance: Instance, http: Callable[[], httpx.Client]) -> tuple[httpx.Client | None, TrustSource | None]:
    if settings.external_issuer is None:
        return None, None
    client = http()
    algorithm = Algorithm(settings.external_algorithm)
    keys = ExternalKeys(issuer=settings.external_issuer, algorithm=algorithm, client=client, jwks_url=settings.external_jwks_url)
    return client, TrustSource(
        settings.external_issuer,
        settings.external_audience or instance.audience,
        algorithm,
        keys,
        settings.external_token_lifetime_seconds_max,
    )
