"""Pages: a banner is told from its portions, looser and stricter ones are found, and nothing is wider than its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import profile_of
from service.labels.markings.ic2016 import Reading
from service.labels.markings.ic2016_pages import PageFault, tightest
from service.labels.markings.pages import PORTIONS_MAX, PageError, Verdict, as_label, banner_of, judge
from service.labels.markings.register import Register, published, widened
from service.labels.rollup import banner_fault, copy_marks, roll_up, wider
from service.labels.scheme import AudienceOnCopies, Profile
from tests.support.labels_ic2016 import LABELS, LEVELS, REGISTER, SCHEME, profile, readings

PROFILE = profile()
PLAIN = published(Profile.PLAIN)
PAGES = st.lists(readings(plain=True), min_size=1, max_size=4)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Pages are large values: fewer of them, and more than a second to begin with on a busy machine."""


@pytest.mark.parametrize(
    ("portions", "banner", "verdict", "required", "why"),
    [
        pytest.param(["S//NF"], "SECRET//NOFORN", "ok", "SECRET//NOFORN", "and no more", id="ok"),
        pytest.param(["(S//NF)"], "secret // nf", "ok", "SECRET//NOFORN", "and no more", id="ok-as-people-write"),
        pytest.param(["TS"], "SECRET", "too loose", "TOP SECRET", "level `SECRET` is below `TOP SECRET`", id="level-too-low"),
        pytest.param(["C"], "SECRET", "too strict", "CONFIDENTIAL", "level `SECRET` is above `CONFIDENTIAL`", id="level-too-high"),
        pytest.param(
            ["S//OC/NF"],
            "SECRET//NOFORN",
            "too loose",
            "SECRET//ORCON/NOFORN",
            "caveat `ORCON` of a portion is missing",
            id="caveat-missing",
        ),
        pytest.param(["S//NF"], "SECRET//ORCON/NOFORN", "too strict", "SECRET//NOFORN", "caveat `ORCON` is more", id="caveat-too-many"),
        pytest.param(
            ["U//FOUO", "S//NF"],
            "SECRET//FOUO/NOFORN",
            "too strict",
            "SECRET//NOFORN",
            "caveat `FOUO` is more",
            id="caveat-that-falls-away",
        ),
        pytest.param(
            ["S//REL TO USA, GBR"], "SECRET", "too loose", "SECRET//REL TO USA, GBR", "says nothing of foreign", id="audience-missing"
        ),
        pytest.param(["S"], "SECRET//NOFORN", "too strict", "SECRET", "no portion limits foreign disclosure", id="audience-too-many"),
        pytest.param(["S//NF"], "SECRET//REL TO USA, GBR", "too loose", "SECRET//NOFORN", "a portion bears it", id="a-list-for-nobody"),
        pytest.param(
            ["S//REL TO USA, GBR"],
            "SECRET//NOFORN",
            "too strict",
            "SECRET//REL TO USA, GBR",
            "portions allow `REL TO USA, GBR`",
            id="nobody-for-a-list",
        ),
        pytest.param(
            ["S//REL TO USA, GBR"],
            "SECRET//REL TO USA, GBR, JPN",
            "too loose",
            "SECRET//REL TO USA, GBR",
            "`JPN` is in the audience",
            id="wider",
        ),
        pytest.param(
            ["S//REL TO USA, FVEY"],
            "SECRET//REL TO USA, GBR",
            "too strict",
            "SECRET//REL TO USA, FVEY",
            "`FVEY` is in the audience",
            id="narrower",
        ),
        pytest.param(
            ["S//REL TO USA, AUS, CAN, GBR, NZL"], "SECRET//REL TO USA, FVEY", "ok", "SECRET//REL TO USA, FVEY", "no more", id="all-members"
        ),
        pytest.param(
            ["S//DISPLAY ONLY AFG"],
            "SECRET//REL TO USA, AFG",
            "too loose",
            "SECRET//DISPLAY ONLY AFG",
            "in the audience for release",
            id="kept-not-shown",
        ),
        pytest.param(
            ["S//REL TO USA, AFG"],
            "SECRET//DISPLAY ONLY AFG",
            "too strict",
            "SECRET//REL TO USA, AFG",
            "in the audience for release",
            id="shown-not-kept",
        ),
        pytest.param(["S//RELIDO"], "SECRET//NOFORN", "too strict", "SECRET//RELIDO", "portions allow `RELIDO`", id="relido-kept-back"),
        pytest.param(
            ["S//RELIDO", "S"], "SECRET//RELIDO", "too loose", "SECRET//NOFORN", "rules 12, 16, 17, 19", id="relido-not-everywhere"
        ),
        pytest.param(
            ["S//REL TO USA, GBR"],
            "SECRET//REL TO USA, GBR/RELIDO",
            "too loose",
            "SECRET//REL TO USA, GBR",
            "has `RELIDO`",
            id="relido-of-no-portion",
        ),
        pytest.param(
            ["S//REL TO USA, GBR/RELIDO"],
            "SECRET//REL TO USA, GBR",
            "too strict",
            "SECRET//REL TO USA, GBR/RELIDO",
            "bears `RELIDO`",
            id="relido-left-out",
        ),
        pytest.param(
            ["S//REL TO USA, GBR/RELIDO", "S//REL TO USA, GBR"],
            "SECRET//REL TO USA, GBR/RELIDO",
            "too loose",
            "SECRET//REL TO USA, GBR",
            "not every portion bears it",
            id="relido-of-one-portion",
        ),
        pytest.param(
            ["TS//TK-BLFH ABCD//NF"],
            "TOP SECRET//TK-BLFH//NOFORN",
            "too loose",
            "TOP SECRET//TK-BLFH ABCD//NOFORN",
            "`TK-BLFH ABCD`",
            id="below-a-compartment",
        ),
        pytest.param(
            ["TS//TK//NF"],
            "TOP SECRET//SI/TK//NOFORN",
            "too strict",
            "TOP SECRET//TK//NOFORN",
            "no portion bears the control system `SI`",
            id="system",
        ),
        pytest.param(
            ["S//SAR-ABC//NF"], "SECRET//NOFORN", "too loose", "SECRET//SAR-ABC//NOFORN", "access programme `ABC`", id="programme-missing"
        ),
        pytest.param(
            ["S//RD//NF", "S//FRD-SG 14//NF"],
            "SECRET//RD-SIGMA 14//NOFORN",
            "ok",
            "SECRET//RD-SIGMA 14//NOFORN",
            "no more",
            id="restricted-data-first",
        ),
        pytest.param(
            ["S//RD//NF", "S//FRD//NF"], "SECRET//RD/FRD//NOFORN", "ok", "SECRET//RD/FRD//NOFORN", "no more", id="both-is-not-too-strict"
        ),
        pytest.param(
            ["//CTS//ATOMAL"],
            "//COSMIC TOP SECRET",
            "too loose",
            "//COSMIC TOP SECRET//ATOMAL",
            "control of NATO `ATOMAL`",
            id="nato-control",
        ),
        pytest.param(
            ["S//TEA LEAF//NF"], "SECRET//NOFORN", "too loose", "SECRET//NOFORN//TEA LEAF", "nickname `TEA LEAF`", id="nickname-missing"
        ),
        pytest.param(["S//FGI GBR//NF"], "SECRET//NOFORN", "too loose", "SECRET//FGI GBR//NOFORN", "source `GBR`", id="source-missing"),
        pytest.param(
            ["S//NF"], "SECRET//FGI GBR//NOFORN", "too strict", "SECRET//NOFORN", "no portion names the source `GBR`", id="source-too-many"
        ),
        pytest.param(["S//NF"], "SECRET//FGI//NOFORN", "too strict", "SECRET//NOFORN", "`FGI` is more", id="concealed-too-many"),
        pytest.param(
            ["S//FGI//NF"], "SECRET//NOFORN", "too loose", "SECRET//FGI//NOFORN", "`FGI` of a portion is missing", id="concealed-missing"
        ),
        pytest.param(
            ["S//FGI GBR//NF"],
            "SECRET//FGI//NOFORN",
            "too strict",
            "SECRET//FGI GBR//NOFORN",
            "conceals sources",
            id="concealed-for-no-reason",
        ),
        pytest.param(
            ["//FGI S//NF", "//GBR S//NF"],
            "SECRET//FGI GBR//NOFORN",
            "too loose",
            "SECRET//FGI//NOFORN",
            "are concealed",
            id="a-source-laid-open",
        ),
        pytest.param(
            ["//GBR S//NF"],
            "SECRET//FGI GBR//NOFORN",
            "too loose",
            "//GBR SECRET//NOFORN",
            "is our own classification",
            id="another-taken-for-ours",
        ),
        pytest.param(
            ["//GBR R//NF", "C//NF"],
            "CONFIDENTIAL//FGI GBR//NOFORN",
            "ok",
            "CONFIDENTIAL//FGI GBR//NOFORN",
            "no more",
            id="the-next-higher-level",
        ),
        pytest.param(["S//NF"], "SECRET//NOFRON", "invalid", "SECRET//NOFORN", "banner: unknown control `NOFRON`", id="banner-not-read"),
        pytest.param(["S//NF", "X"], "SECRET//NOFORN", "invalid", None, "portion 2: unknown level `X`", id="portion-not-read"),
        pytest.param(["S//REL TO USA, QQQ"], "SECRET//NOFORN", "invalid", None, "portion 1: unknown code `QQQ`", id="code-unknown"),
        pytest.param(
            ["S//NF"],
            "SECRET//REL TO USA, GBX",
            "invalid",
            "SECRET//NOFORN",
            "unknown code `GBX`, expected one like",
            id="code-of-banner-unknown",
        ),
        pytest.param(["S//REL"], "SECRET//NOFORN", "invalid", None, "portion 1 is marked `REL`", id="the-list-of-a-banner-without"),
        pytest.param(
            ["//JOINT S//NF"], "SECRET//NOFORN", "invalid", None, "portion 1 is `JOINT` without owners", id="the-owners-of-a-banner-without"
        ),
        pytest.param(
            ["//DEU GEHEIM//NF"], "SECRET//NOFORN", "invalid", None, "`GEHEIM` of `DEU` has no equivalent", id="a-level-of-no-table"
        ),
        pytest.param(
            ["S//NF"], "//DEU GEHEIM//NOFORN", "invalid", "SECRET//NOFORN", "`GEHEIM` of `DEU` has no equivalent", id="a-banner-of-no-table"
        ),
        pytest.param([], "SECRET//NOFORN", "invalid", None, "no portions", id="nothing"),
        pytest.param(["S//NF"], "", "invalid", "SECRET//NOFORN", "banner: unmarked", id="no-banner"),
        # Looser in one part and stricter in another is looser; invalid goes before both.
        pytest.param(
            ["S//REL TO USA, GBR"], "TOP SECRET//REL TO USA, JPN", "too loose", "SECRET//REL TO USA, GBR", "`JPN`", id="loose-before-strict"
        ),
        pytest.param(
            ["S//NF", "U"], "UNCLASSIFIED//REL TO USA, QQQ", "invalid", "SECRET//NOFORN", "unknown code", id="invalid-before-loose"
        ),
    ],
)
def test_a_banner_is_judged_by_the_manual(portions: list[str], banner: str, verdict: str, required: str | None, why: str) -> None:
    judged = judge(portions, banner, register=REGISTER)
    assert (judged.verdict, judged.banner) == (verdict, required)
    assert why in judged.why


@pytest.mark.parametrize(
    ("portions", "banner", "verdict", "required", "why"),
    [
        pytest.param(["(S//REL TO JPN)", "(U)"], "SECRET//REL TO JPN", "ok", "SECRET//REL TO JPN", "no more", id="ok"),
        pytest.param(
            ["(S//FOUO//NOFORN)"], "SECRET//NOFORN", "too loose", "SECRET//FOUO//NOFORN", "caveat `FOUO`", id="caveats-never-fall-away"
        ),
        pytest.param(
            ["(S//REL TO JPN)", "(S)"], "SECRET//REL TO JPN", "ok", "SECRET//REL TO JPN", "no more", id="an-unmarked-portion-is-for-all"
        ),
        pytest.param(["(S//REL TO JPN)"], "SECRET", "too loose", "SECRET//REL TO JPN", "no audience is named", id="audience-missing"),
        pytest.param(["(S)"], "SECRET//NOFORN", "too strict", "SECRET", "names an audience for release", id="audience-too-many"),
        pytest.param(["(R)"], "SECRET", "too strict", "RESTRICTED", "above `RESTRICTED`", id="level-too-high"),
        pytest.param(
            ["(S//NOFORN)"], "SECRET//FISA//NOFORN", "too strict", "SECRET//NOFORN", "caveat `FISA` is more", id="caveat-too-many"
        ),
        pytest.param(["(S//SI)"], "SECRET", "invalid", None, "portion 1: unknown control `SI`", id="not-read"),
        pytest.param(
            ["(S//REL TO JPN, GBR)"],
            "SECRET//REL TO JPN",
            "too strict",
            "SECRET//REL TO GBR, JPN",
            "`GBR` is in the audience",
            id="narrower",
        ),
    ],
)
def test_a_banner_of_another_profile_is_judged_by_its_labels(
    portions: list[str], banner: str, verdict: str, required: str | None, why: str
) -> None:
    judged = judge(portions, banner, register=PLAIN)
    assert (judged.verdict, judged.banner) == (verdict, required)
    assert why in judged.why


def test_a_page_has_a_limit() -> None:
    assert judge(["S"] * PORTIONS_MAX, "SECRET", register=REGISTER).verdict is Verdict.OK
    with pytest.raises(PageError, match=f"{PORTIONS_MAX + 1} portions, expected at most {PORTIONS_MAX}"):
        banner_of(["S"] * (PORTIONS_MAX + 1), register=REGISTER)


def test_joint_owners_are_taken_from_portions_that_agree() -> None:
    assert (
        banner_of(["//JOINT S//REL TO USA, GBR", "//JOINT S GBR USA//REL TO USA, GBR"], register=REGISTER)
        == "//JOINT SECRET GBR USA//REL TO USA, GBR"
    )
    with pytest.raises(PageError, match="without owners"):
        banner_of(["//JOINT S//NF", "//JOINT S GBR USA//NF", "//JOINT S CAN USA//NF"], register=REGISTER)


# --- laws -------------------------------------------------------------------------------------------------------------


def required(parts: Sequence[Reading]) -> Reading:
    return tightest(parts, banner=None, register=REGISTER)


def audiences(reading: Reading) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who may keep and who may see what a banner stands over. RELIDO alone lets nobody have it."""
    if reading.released is None:
        nobody = reading.caveats >= {"RELIDO"}
        return ((), ()) if nobody else (UNRESTRICTED, UNRESTRICTED)
    return reading.released, (*reading.released, *(reading.displayed or ()))


def within(narrow: tuple[str, ...], wide: tuple[str, ...]) -> bool:
    return wider(narrow, [wide], scheme=SCHEME, members=REGISTER.members) is None


@FEW
@given(st.lists(readings(), min_size=1, max_size=4))
def test_the_tightest_lawful_banner_is_lawful_and_no_stricter(parts: list[Reading]) -> None:
    portions = [PROFILE.written(part, portion=True) for part in parts]
    banner = banner_of(portions, register=REGISTER)
    judged = judge(portions, banner, register=REGISTER)
    assert (judged.verdict, judged.banner) == (Verdict.OK, banner), judged.why


@FEW
@given(PAGES, st.randoms(use_true_random=False))
def test_a_banner_does_not_depend_on_the_order_of_its_portions_nor_on_repeats(parts: list[Reading], chance: object) -> None:
    shuffled = [*parts, parts[0]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert replace(required(shuffled), nicknames=()) == replace(required(parts), nicknames=())


@FEW
@given(st.lists(readings(plain=True), min_size=2, max_size=5))
def test_removing_a_portion_never_narrows_the_audience(parts: list[Reading]) -> None:
    before = audiences(required(parts))
    for place in range(len(parts)):
        after = audiences(required([*parts[:place], *parts[place + 1 :]]))
        assert within(before[0], after[0])
        assert within(before[1], after[1])


@FEW
@given(st.lists(LABELS, min_size=2, max_size=5))
def test_removing_a_portion_never_narrows_the_audience_that_is_rolled_up(parts: list[Label]) -> None:
    def rolled(some: Sequence[Label]) -> Label:
        return roll_up(some, scheme=SCHEME, members=REGISTER.members)

    def seen(label: Label) -> tuple[str, ...]:
        both = (*label.releasable_to, *label.shown_to)
        return UNRESTRICTED if UNRESTRICTED[0] in both else both

    before = rolled(parts)
    for place in range(len(parts)):
        after = rolled([*parts[:place], *parts[place + 1 :]])
        assert within(before.releasable_to, after.releasable_to)
        assert within(seen(before), seen(after))


@FEW
@given(PAGES)
def test_a_banner_is_never_wider_than_the_roll_up_of_the_labels(parts: list[Reading]) -> None:
    page = required(parts)
    labels = [as_label(PROFILE.parse_portion(PROFILE.written(part, portion=True)), own="USA") for part in parts]
    rolled = roll_up(labels, scheme=SCHEME, members=REGISTER.members)
    assert page.level == rolled.level
    assert page.caveats <= set(rolled.caveats)
    for named, allowed in zip(audiences(page), (rolled.releasable_to, (*rolled.releasable_to, *rolled.shown_to)), strict=True):
        assert UNRESTRICTED[0] in allowed or within(named, allowed)


@FEW
@given(PAGES, st.integers(0, 3), st.sampled_from(LEVELS))
def test_a_banner_that_says_more_or_less_is_never_ok(parts: list[Reading], change: int, level: str) -> None:
    page = required(parts)
    changed = (
        replace(page, level=level),
        replace(page, caveats=page.caveats ^ {"ORCON"}),
        replace(page, released=(), displayed=None, no_foreign=True, no_foreign_in=frozenset(), caveats=page.caveats - {"RELIDO"}),
        replace(page, released=("JPN", "USA"), displayed=None, no_foreign=False, no_foreign_in=frozenset()),
    )[change]
    judged = judge([PROFILE.written(part, portion=True) for part in parts], PROFILE.written(changed, portion=False), register=REGISTER)
    same = (changed.level, changed.caveats, audiences(changed)) == (page.level, page.caveats, audiences(page))
    assert (judged.verdict is Verdict.OK) is same, judged.why
    if SCHEME.rank(changed.level) < SCHEME.rank(page.level):
        assert judged.verdict is Verdict.TOO_LOOSE


@FEW
@given(st.lists(LABELS, min_size=1, max_size=4), st.sampled_from(["GBR", "JPN", "DEU"]), st.sampled_from(AudienceOnCopies))
def test_the_banner_of_a_copy_is_lawful_over_its_own_marks(labels: list[Label], partner: str, shown: AudienceOnCopies) -> None:
    scheme = replace(SCHEME, audience_on_copies=shown)
    granted = [replace(label, grants=(f"release:{partner}",)) for label in labels]
    marks = copy_marks(granted, partner=partner, scheme=scheme, members=REGISTER.members)
    copy = profile_of(scheme)
    banner = copy.write_banner(marks.banner)
    judged = judge([copy.write_portion(mark) for mark in marks.portions], banner, register=replace(REGISTER, scheme=scheme))
    assert judged.verdict in (Verdict.OK, Verdict.TOO_STRICT), (banner, judged)
    if shown is AudienceOnCopies.OWN:
        assert judged.verdict is Verdict.OK, (banner, judged)
    # And it is the partner's: nothing in his hands says that it is for nobody, or for others alone.
    named = marks.banner.releasable_to
    assert within((partner,), named)


@FEW
@given(st.lists(LABELS, min_size=1, max_size=4))
def test_what_the_manual_makes_of_portions_is_a_lawful_marking_of_an_item(labels: list[Label]) -> None:
    portions = [PROFILE.write_portion(label) for label in labels]
    banner = as_label(PROFILE.parse_banner(banner_of(portions, register=REGISTER)), own="USA")
    fault = banner_fault(banner, labels, scheme=SCHEME, members=REGISTER.members)
    # RELIDO alone names nobody on a page; as a label it is as one that says nothing.
    assert fault is None or ("RELIDO" in banner.caveats and "no audience is named" in fault)


def test_a_level_that_no_table_has_makes_no_page() -> None:
    lost = Register(SCHEME, REGISTER.codes, REGISTER.members, lambda issuer, name: None)
    with pytest.raises(PageFault, match="has no equivalent on our ladder"):
        tightest([PROFILE.reading("//GBR S", portion=True)], banner=None, register=lost)


def test_a_bundles_register_knows_its_own_words_and_the_published_ones() -> None:
    scheme = replace(SCHEME, caveats=("EXERCISE",), expandable=())
    tables = {("DEU", "GEHEIM"): "SECRET", ("GBR", "SECRET"): "TOP SECRET"}
    wide = widened(scheme, codes=frozenset({"ZZZ"}), members={}, level_of=lambda issuer, name: tables.get((issuer, name)))
    assert judge(["S//EXERCISE", "S//OC"], "SECRET//ORCON//EXERCISE", register=wide).verdict is Verdict.OK
    assert judge(["S//REL TO USA, ZZZ"], "SECRET//REL TO USA, ZZZ", register=wide).verdict is Verdict.OK
    # Its table goes before the English names; its scheme alone says what may be expanded.
    assert banner_of(["//DEU GEHEIM//NF", "C//NF"], register=wide) == "SECRET//FGI DEU//NOFORN"
    assert banner_of(["//GBR S//NF", "C//NF"], register=wide) == "TOP SECRET//FGI GBR//NOFORN"
    assert banner_of(["S//REL TO USA, FVEY", "S//REL TO USA, GBR"], register=wide) == "SECRET//NOFORN"
    assert banner_of(["S//REL TO USA, FVEY", "S//REL TO USA, GBR"], register=REGISTER) == "SECRET//REL TO USA, GBR"
