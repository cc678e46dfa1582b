"""Generated `IC-2016` readings, labels and pages, all legal; for laws."""

from __future__ import annotations

from hypothesis import strategies as st

from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import profile_of
from service.labels.markings.ic2016 import Ic2016Profile, Ownership, Reading, System, merged
from service.labels.markings.ic2016_words import CONTROL_CODES, WITH_NOFORN
from service.labels.markings.register import published
from service.labels.scheme import Profile

REGISTER = published(Profile.IC_2016)
SCHEME = REGISTER.scheme
LEVELS = [level.name for level in SCHEME.levels]


def profile() -> Ic2016Profile:
    """The profile of the published register."""
    found = profile_of(SCHEME)
    if not isinstance(found, Ic2016Profile):
        raise TypeError(f"{found} is not the profile of IC-2016")
    return found


CODES = st.sampled_from(["AUS", "CAN", "DEU", "FVEY", "GBR", "JPN", "NATO"])
NATIONS = st.sampled_from(["AUS", "CAN", "DEU", "GBR", "JPN"])
CAVEATS = st.frozensets(st.sampled_from(sorted(CONTROL_CODES)), max_size=3)


def _sorted(values: st.SearchStrategy[list[str]]) -> st.SearchStrategy[tuple[str, ...]]:
    return values.map(lambda found: tuple(sorted(set(found))))


_SUBS = _sorted(st.lists(st.sampled_from(["ABCD", "ACDE", "12"]), max_size=2))
_PARTS = st.lists(st.tuples(st.sampled_from(["G", "BLFH", "IDIT", "A1"]), _SUBS), max_size=2)


def _systems(names: list[str]) -> st.SearchStrategy[tuple[System, ...]]:
    system = st.builds(lambda name, parts: System(name, tuple(parts)), st.sampled_from(names), _PARTS)
    return st.lists(system, max_size=2).map(merged)


_ATOMIC = st.lists(
    st.sampled_from(
        [
            System("RD"),
            System("RD", (("CNWDI", ()), ("SIGMA", ("14", "20")))),
            System("FRD", (("SIGMA", ("18",)),)),
            System("TFNI"),
            System("DOD UCNI"),
            System("DOE UCNI"),
        ]
    ),
    max_size=2,
).map(merged)


@st.composite
def readings(draw: st.DrawFn, *, plain: bool = False) -> Reading:
    """A legal marking that can be read alone; `plain`: of our own level, without controls that no label can say."""
    caveats = set(draw(CAVEATS))
    audience = draw(st.sampled_from(["none", "nobody", "within", "list", "display", "both"]))
    released: tuple[str, ...] | None = None
    displayed: tuple[str, ...] | None = None
    within: frozenset[str] = frozenset()
    if audience == "within":
        within = draw(st.frozensets(st.sampled_from(WITH_NOFORN), min_size=1))
        caveats |= within
    if audience in ("nobody", "within", "display"):
        released = ()
    elif audience in ("list", "both"):
        released = draw(_sorted(st.lists(CODES, min_size=1, max_size=4).map(lambda codes: [*codes, SCHEME.own])))
    if audience in ("display", "both"):
        displayed = draw(_sorted(st.lists(CODES, min_size=1, max_size=3)))
    reading = Reading(
        draw(st.sampled_from(LEVELS)),
        released=released,
        displayed=displayed,
        caveats=frozenset(caveats),
        no_foreign=audience == "nobody",
        no_foreign_in=within,
    )
    return reading if plain else draw(_with_controls(reading))


@st.composite
def _with_controls(draw: st.DrawFn, reading: Reading) -> Reading:
    ownership = draw(st.sampled_from(Ownership))
    level, owners = reading.level, ()
    if ownership is Ownership.JOINT:
        owners = tuple(sorted({SCHEME.own, *draw(st.sets(NATIONS, min_size=1, max_size=3))}))
    elif ownership is Ownership.FOREIGN:
        level, owners = draw(
            st.one_of(
                st.tuples(
                    st.sampled_from(["UNCLASSIFIED", "RESTRICTED", "SECRET", "TOP SECRET"]),
                    _sorted(st.lists(NATIONS, min_size=1, max_size=2)),
                ),
                st.sampled_from([("NATO SECRET", ("NATO",)), ("COSMIC TOP SECRET", ("NATO",)), ("NATO ISAF SECRET", ("ISAF", "NATO"))]),
            )
        )
    elif ownership is Ownership.CONCEALED:
        level = draw(st.sampled_from(["CONFIDENTIAL", "SECRET"]))
    return Reading(
        level,
        ownership,
        owners,
        systems=draw(_systems(["HCS", "SI", "TK"])),
        programmes=draw(_systems(["ABC", "JUNIOR PROM"])),
        atomic=draw(_ATOMIC),
        nato=draw(_sorted(st.lists(st.sampled_from(["ATOMAL", "BALK", "BOHEMIA"]), max_size=2))),
        nicknames=draw(st.sampled_from([(), ("TEA LEAF",), ("ACCM-BLUE MOON", "TEA LEAF")])),
        foreign=draw(st.one_of(st.none(), _sorted(st.lists(NATIONS, max_size=2)))),
        released=reading.released,
        displayed=reading.displayed,
        caveats=reading.caveats,
        no_foreign=reading.no_foreign,
        no_foreign_in=reading.no_foreign_in,
    )


_AUDIENCES = st.one_of(st.just(UNRESTRICTED), st.lists(CODES, max_size=4).map(tuple))

LABELS = st.builds(
    Label,
    level=st.sampled_from(LEVELS),
    releasable_to=_AUDIENCES,
    caveats=CAVEATS.map(tuple),
    originators=st.just((SCHEME.own,)),
    display_to=st.one_of(st.none(), st.lists(CODES, max_size=3).map(tuple)),
)
