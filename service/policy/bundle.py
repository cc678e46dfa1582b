"""The bundle: one policy directory, wholly understood, named by its digest; and its snapshots over time (DESIGN section 4).

`read_bundle` takes bytes, from an upload or the archive; `load_bundle` reads a directory first, which is all that is not pure here.
A bundle never changes. Its snapshots are built aside, one per stretch of time and set of suspended partners, and kept: those that readers
ask for apart from those of whoever looks ahead (`Bundle.ahead`), so that what is in force is neither put out nor waited for.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from service.errors import Rejected
from service.labels.equivalence import Equivalences, Meaning
from service.policy.engine import EngineBuilder, EngineKind, build_engine
from service.policy.findings import Finding, PolicyRejected
from service.policy.functions import LINKS_MAX, BundleScheme
from service.policy.reader import FILES, HANDBOOK, KINDS, Content, read
from service.policy.rows import Case, Equivalence, Membership, Never, Partner, PartnerStatus, Rule
from service.policy.snapshot import Snapshot
from service.policy.text import POLICY_FILE_BYTES_MAX

SNAPSHOTS_KEPT_MAX = 64
"""Snapshots remembered per bundle for readers, and as many for those who look ahead; the one asked for longest ago goes first."""

_Key = tuple[int, frozenset[str], EngineKind]


def load_bundle(path: Path | str, *, at: datetime | None = None) -> Bundle:
    """The bundle in a directory.

    Args:
        path: the directory.
        at: the moment for which expired rows are warned of; without it they are not.

    Raises:
        PolicyRejected: it is not wholly understood; `.findings` says where and why.
        Rejected: there is no such directory.
    """
    return read_bundle(read_directory(path), at=at)


def read_bundle(files: Mapping[str, bytes], *, at: datetime | None = None, build: EngineBuilder = build_engine) -> Bundle:
    """The bundle in these files, by name.

    Args:
        at: the moment for which expired rows are warned of; without it they are not.
        build: makes the engines of its snapshots.

    Raises:
        PolicyRejected: it is not wholly understood; `.findings` says where and why.
    """
    content, findings = read(files, at=at)
    if content is None:
        raise PolicyRejected(findings)
    return Bundle(files, content, findings, build)


def check_files(files: Mapping[str, bytes], *, at: datetime | None = None) -> tuple[Finding, ...]:
    """Everything found in these files, errors and warnings, in order of place."""
    return read(files, at=at)[1]


def read_directory(path: Path | str) -> dict[str, bytes]:
    """The files of a policy directory, each read once: those of a bundle, and others of these kinds, which are findings.

    Raises:
        Rejected: there is no such directory, or a file in it cannot be read.
    """
    directory = Path(path)
    if not directory.is_dir():
        raise Rejected(f"no such folder `{directory}`", code="no-such-folder")
    files = {}
    for entry in sorted(directory.iterdir()):
        if entry.is_file() and (entry.name == HANDBOOK or entry.suffix.lower() in KINDS):
            try:
                with entry.open("rb") as stream:
                    # One byte more than allowed is enough to know.
                    files[entry.name] = stream.read(POLICY_FILE_BYTES_MAX + 1)
            except OSError as failed:
                raise Rejected(f"cannot read `{entry}`: {failed.strerror}", code="unreadable") from failed
    return files


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 (hex) of the lines `HEX  NAME` of these files sorted by name, the handbook left out: `sha256sum` of `sha256sum`."""
    lines = (f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files) if name != HANDBOOK)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class Bundle:
    """A policy, immutable. Made by `load_bundle` or `read_bundle`."""

    digest: str
    """SHA-256 in hex, the bundle's name."""
    files: Mapping[str, bytes]
    """Its files, the handbook left out."""
    scheme: BundleScheme
    findings: tuple[Finding, ...]
    """Warnings; a bundle with an error does not exist."""
    partners: tuple[Partner, ...]
    communities: tuple[str, ...]
    memberships: tuple[Membership, ...]
    rules: tuple[Rule, ...]
    never: tuple[Never, ...]
    equivalences: tuple[Equivalence, ...]
    equivalent_levels: Equivalences
    """The same rows as a table that is asked: what another's level name means on our ladder at a time."""
    cases: tuple[Case, ...]
    boundaries: tuple[datetime, ...]
    """Every moment at which a dated row begins or ends, sorted."""
    known_codes: frozenset[str]
    """Partners, communities and our own code, in force or not."""

    def __init__(self, files: Mapping[str, bytes], content: Content, findings: tuple[Finding, ...], build: EngineBuilder) -> None:
        self._build_engine = build
        self.files = MappingProxyType({name: files[name] for name in FILES})
        self.digest = digest_of(self.files)
        self.findings = findings
        self.partners = _partners(content.statuses)
        self.communities = tuple(sorted({row.community for row in content.memberships}))
        self.scheme = BundleScheme.of(content.scheme, partners=(partner.code for partner in self.partners), communities=self.communities)
        self.memberships = content.memberships
        self.rules = content.rules
        self.never = content.never
        self.equivalences = content.equivalences
        meanings = (Meaning(row.issuer, row.name, row.level, row.period.begins, row.period.ends) for row in content.equivalences)
        self.equivalent_levels = Equivalences(meanings, scheme=self.scheme)
        self.cases = content.cases
        self.known_codes = self.scheme.partners | self.scheme.communities | {self.scheme.own}
        self._model = content.model
        self._statuses = content.statuses
        periods = [
            *(row.period for row in content.statuses),
            *(row.period for row in content.memberships),
            *(row.period for row in content.rules),
            *(row.period for row in content.equivalences),
        ]
        self.boundaries = tuple(sorted({moment for period in periods for moment in period.boundaries()}))
        self._members: dict[int, Mapping[str, frozenset[str]]] = {}
        of_readers: dict[_Key, Snapshot] = {}
        of_others: dict[_Key, Snapshot] = {}
        self._ahead: Bundle | None = None
        self._kept = _Kept(of_others, beside=of_readers)
        other = copy(self)
        self._ahead, self._kept = other, _Kept(of_readers, beside=of_others)

    def snapshot(self, at: datetime, suspended: frozenset[str] = frozenset(), *, engine: EngineKind = EngineKind.COMPILED) -> Snapshot:
        """The snapshot that holds `at`.

        Args:
            at: aware.
            suspended: partners whose `active` row is left out until they are resumed; they remain known.
            engine: which decides; they agree.

        Raises:
            Rejected: `at` is not aware.
        """
        stretch = self._stretch(at)
        key = (stretch, frozenset(suspended) & self.scheme.partners, engine)
        found = self._kept.get(key)
        if found is not None:
            # Without a lock: whoever asks for what is there never waits for one who builds.
            return found
        with self._kept.building(key):
            found = self._kept.get(key)
            if found is None:
                found = self._kept.beside.get(key) or self._build(*key)
                self._kept.keep(key, found)
        return found

    @property
    def ahead(self) -> Bundle:
        """The same bundle with snapshots of its own: for who examines, compares or plans, and so asks about dates by the hundred.

        Readers of what is in force do not wait for what is built there, and nothing of theirs is put out by it.
        """
        return self if self._ahead is None else self._ahead

    @cached_property
    def rule_cells(self) -> tuple[tuple[str, ...], ...]:
        """The cells of each rule up to its dates, in the order of the policy definition; its dates and basis are empty."""
        return tuple(
            (
                *(rule.id, str(rule.effect), rule.action, rule.grantee, rule.purpose, rule.level),
                *(rule.categories, rule.caveats, rule.originator, "", "", ""),
            )
            for rule in self.rules
        )

    def members(self, at: datetime) -> Mapping[str, frozenset[str]]:
        """The partners in each community at `at`, directly or through at most 9 links; our own code is not a partner.

        Raises:
            Rejected: `at` is not aware.
        """
        stretch = self._stretch(at)
        found = self._members.get(stretch)
        if found is None:
            found = self._members_at(at)
            self._members[stretch] = found
        return found

    def casbin_rows(self, at: datetime, suspended: frozenset[str] = frozenset()) -> str:
        """The Casbin files put together, with the rows not in force at `at` left out: what stock Casbin is to be given."""
        lines = [
            *(row.place.text for row in self._statuses if row.period.holds(at) and not (row.active and row.code in suspended)),
            *(row.place.text for row in self.memberships if row.period.holds(at)),
            *(row.place.text for row in self.rules if row.period.holds(at)),
        ]
        return "".join(f"{line}\n" for line in lines)

    def rule(self, id: str) -> Rule | None:
        """The agreement or prohibition with this id."""
        return next((rule for rule in self.rules if rule.id == id), None)

    def _stretch(self, at: datetime) -> int:
        if at.tzinfo is None:
            raise Rejected("a time without a zone", code="time")
        return bisect_right(self.boundaries, at)

    def _build(self, stretch: int, suspended: frozenset[str], engine: EngineKind) -> Snapshot:
        since = self.boundaries[stretch - 1] if stretch else None
        until = self.boundaries[stretch] if stretch < len(self.boundaries) else None
        return Snapshot(
            since=since,
            until=until,
            bundle_digest=self.digest,
            suspended=suspended,
            scheme=self.scheme,
            engine=self._build_engine(
                engine, model=self._model, rows=self.casbin_rows(self._moment(stretch), suspended), scheme=self.scheme
            ),
        )

    def _moment(self, stretch: int) -> datetime:
        """A moment of a stretch; before the first boundary the earliest there is."""
        return self.boundaries[stretch - 1] if stretch else datetime.min.replace(tzinfo=UTC)

    def _members_at(self, at: datetime) -> Mapping[str, frozenset[str]]:
        links: dict[str, set[str]] = {}
        for row in self.memberships:
            if row.period.holds(at):
                links.setdefault(row.member, set()).add(row.community)
        members: dict[str, set[str]] = {community: set() for community in self.communities}
        for partner in self.scheme.partners:
            reached, frontier = set[str](), {partner}
            for _ in range(LINKS_MAX):
                frontier = {community for code in frontier for community in links.get(code, ())} - reached
                reached |= frontier
            for community in reached:
                members[community].add(partner)
        return MappingProxyType({community: frozenset(codes) for community, codes in members.items()})


class _Kept:
    """Snapshots that were built, and who is building which. `beside` are those of the other side, taken over where they are there."""

    def __init__(self, snapshots: dict[_Key, Snapshot], *, beside: dict[_Key, Snapshot]) -> None:
        self.snapshots = snapshots
        self.beside = beside
        self._asked: dict[_Key, int] = {}
        self._turn = 0
        self._locks: dict[_Key, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, key: _Key) -> Snapshot | None:
        """What is there, without a lock."""
        found = self.snapshots.get(key)
        if found is not None:
            # A turn lost to a race is of no account.
            self._turn += 1
            self._asked[key] = self._turn
        return found

    def building(self, key: _Key) -> threading.Lock:
        """Held by whoever builds this one. Others are built meanwhile."""
        with self._guard:
            return self._locks.setdefault(key, threading.Lock())

    def keep(self, key: _Key, snapshot: Snapshot) -> None:
        """Keep one that was built, in the place of the one asked for longest ago where there are too many."""
        with self._guard:
            while len(self.snapshots) >= SNAPSHOTS_KEPT_MAX:
                oldest = min(self.snapshots, key=lambda one: self._asked.get(one, 0))
                del self.snapshots[oldest]
                self._asked.pop(oldest, None)
                self._locks.pop(oldest, None)
            self.snapshots[key] = snapshot
            self._turn += 1
            self._asked[key] = self._turn


def _partners(statuses: tuple[PartnerStatus, ...]) -> tuple[Partner, ...]:
    by_code: dict[str, list[PartnerStatus]] = {}
    for status in statuses:
        by_code.setdefault(status.code, []).append(status)
    return tuple(Partner(code, rows[0].kind, rows[0].name, tuple(rows)) for code, rows in sorted(by_code.items()))
