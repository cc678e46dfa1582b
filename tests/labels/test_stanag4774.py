"""Labels of STANAG 4774 as XML: the published ones are read as their display markings say, and a bad one is refused with its place."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.labels.markings.base import MarkingError, Unresolved
from service.labels.markings.nato import display, language_of
from service.labels.markings.nato_spif import CATEGORIES, CONTEXT_AUDIENCES, TagSet
from service.labels.markings.stanag4774 import (
    XML_CHARACTERS_MAX,
    ConfidentialityLabel,
    Reference,
    objections,
    read_binding,
    read_label,
    read_xml,
    write_label,
)

PUBLISHED = Path(__file__).parent / "published"
VECTORS: list[dict[str, Any]] = json.loads((PUBLISHED / "adatp4774_table17_vectors.json").read_text())
SIDECARS: list[dict[str, str]] = list(csv.DictReader((PUBLISHED / "stanag4778" / "manifest.csv").read_text().splitlines()))
NAMESPACE = "urn:nato:stanag:4774:confidentialitymetadatalabel:1:0"


def label_xml(inner: str, *, after: str = "", root: str = "originatorConfidentialityLabel", namespace: str = NAMESPACE) -> str:
    return f'<{root} xmlns="{namespace}"><ConfidentialityInformation>{inner}</ConfidentialityInformation>{after}</{root}>'


HEAD = "<PolicyIdentifier>NATO</PolicyIdentifier><Classification>SECRET</Classification>"


def category(name: str, *values: str, kind: str = "PERMISSIVE") -> str:
    return (
        f'<Category TagName="{name}" Type="{kind}">' + "".join(f"<GenericValue>{value}</GenericValue>" for value in values) + "</Category>"
    )


# --- what is published ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_a_label_of_table_17_is_displayed_as_the_table_says(vector: dict[str, Any]) -> None:
    label = read_label(vector["content"])
    assert display(label, language_of(vector["lang"])) == vector["expected_marking"]
    assert (objections(label) == ()) == (vector["valid"] == "true")


def test_the_fifth_label_of_table_17_is_read_though_its_own_policy_objects() -> None:
    # The table's marking is `NATO/EAPC CONFIDENTIAL Releasable to ISAF`; the published policy allows neither value at that level.
    label = read_label((PUBLISHED / "stanag4774" / "nato-4774-17-5.nato").read_bytes())
    assert display(label) == "NATO/EAPC CONFIDENTIAL Releasable to ISAF"
    assert label.audience == ("EAPC", "ISAF")
    assert objections(label) == (
        "`EAPC` of `Releasable To` is not used with `CONFIDENTIAL`",
        "`ISAF` of `Releasable To` is not used with `CONFIDENTIAL`",
    )


@pytest.mark.parametrize(
    ("name", "audience"),
    [
        ("nato-4774-17-1.nato", ("ISAF", "KFOR", "NATO", "RESOLUTE-SUPPORT")),
        ("nato-4774-17-2.nato", ("NATO",)),
        ("nato-4774-17-3.nato", ("NATO",)),
        ("nato-4774-17-4.nato", ("CHE", "JPN", "NATO", "UKR")),
        ("nato-4774-17-6.nato", ("IRL", "NATO", "SWE", "UKR")),
    ],
)
def test_the_audience_of_a_published_label_is_who_it_names(name: str, audience: tuple[str, ...]) -> None:
    assert read_label((PUBLISHED / "stanag4774" / name).read_bytes()).audience == audience


def test_the_numbered_form_says_what_the_named_form_says() -> None:
    by_number = {vector["id"]: read_label(vector["content"]) for vector in VECTORS if vector["format"] == "spiffy-XML"}
    by_name = {vector["id"]: read_label(vector["content"]) for vector in VECTORS if vector["format"] == "STANAG4774-XML"}
    assert len(by_name) == 4
    for name, label in by_name.items():
        assert by_number[name.replace(".nato", ".xml")] == label


@pytest.mark.parametrize("row", SIDECARS, ids=[row["bdo_sidecar"] for row in SIDECARS])
def test_a_sidecar_holds_the_label_and_the_document_of_its_manifest(row: dict[str, str]) -> None:
    (binding,) = read_binding((PUBLISHED / "stanag4778" / row["bdo_sidecar"]).read_bytes())
    assert display(binding.label) == row["marking_text"]
    assert (binding.label.policy, binding.label.classification) == (row["policy_identifier"], row["classification"])
    assert binding.label.created == datetime.fromisoformat(row["created"])
    assert binding.references == (Reference(f"./{row['filename']}", row["content_type"]),)


def test_there_are_as_many_published_labels_as_there_should_be() -> None:
    assert (len(VECTORS), len(SIDECARS)) == (14, 21)


# --- what is written ------------------------------------------------------------------------------------------------


def test_a_label_is_written_in_one_way_to_the_byte() -> None:
    label = ConfidentialityLabel(
        "NATO",
        "SECRET",
        releasable_to=("UKR", "NATO", "JPN"),
        sensitivities=("ATOMAL",),
        administrative=("STAFF",),
        created=datetime(2026, 11, 22, 10, tzinfo=UTC),
    )
    assert write_label(label).decode() == (
        f'<originatorConfidentialityLabel xmlns="{NAMESPACE}"><ConfidentialityInformation>'
        '<PolicyIdentifier URI="urn:oid:1.3.26.1.3.1">NATO</PolicyIdentifier><Classification>SECRET</Classification>'
        '<Category Type="RESTRICTIVE" TagName="Additional Sensitivity"><GenericValue>ATOMAL</GenericValue></Category>'
        '<Category Type="PERMISSIVE" TagName="Context"><GenericValue>NATO</GenericValue><GenericValue>Releasable</GenericValue></Category>'
        '<Category Type="PERMISSIVE" TagName="Releasable To"><GenericValue>NATO</GenericValue><GenericValue>JPN</GenericValue>'
        "<GenericValue>UKR</GenericValue></Category>"
        '<Category Type="INFORMATIVE" TagName="Administrative"><GenericValue>STAFF</GenericValue></Category>'
        "</ConfidentialityInformation><CreationDateTime>2026-11-22T10:00:00.000000Z</CreationDateTime></originatorConfidentialityLabel>"
    )


def test_a_label_is_written_in_the_values_of_its_policy() -> None:
    written = write_label(ConfidentialityLabel("NATO", "SECRET", only=("BGR", "RESOLUTE-SUPPORT"))).decode()
    assert "<GenericValue>BLG</GenericValue><GenericValue>RESOLUTE SUPPORT</GenericValue>" in written


CODES = st.one_of(st.sampled_from(sorted(CATEGORIES[TagSet.ONLY])), st.sampled_from(["IND", "QUAD", "UN-DPO", "A"]))
SETS = st.lists(CODES, max_size=5).map(tuple)
SENSITIVITIES = st.lists(st.sampled_from([*CATEGORIES[TagSet.SENSITIVITY], "EXERCISE"]), max_size=3).map(tuple)
TERMS = st.lists(st.sampled_from(sorted(CATEGORIES[TagSet.ADMINISTRATIVE])), max_size=3).map(tuple)
TIMES = st.none() | st.datetimes(timezones=st.just(UTC))


@st.composite
def confidentiality_labels(draw: st.DrawFn) -> ConfidentialityLabel:
    classification = draw(st.sampled_from(["UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET"]))
    context = "NATO" if classification == "TOP SECRET" else draw(st.sampled_from(sorted(CONTEXT_AUDIENCES)))
    kind = draw(st.sampled_from(["releasable_to", "only", "public", "none"]))
    audience: dict[str, Any] = {kind: True} if kind == "public" else {} if kind == "none" else {kind: draw(SETS)}
    return ConfidentialityLabel(
        "NATO", classification, context, sensitivities=draw(SENSITIVITIES), administrative=draw(TERMS), created=draw(TIMES), **audience
    )


@settings(deadline=None)
@given(confidentiality_labels())
def test_reading_what_was_written_gives_the_label_again(label: ConfidentialityLabel) -> None:
    written = write_label(label)
    assert read_label(written) == label
    assert write_label(read_label(written)) == written
    assert read_label(written.decode()) == read_xml(written) == label


@settings(deadline=None)
@given(confidentiality_labels())
def test_a_label_in_a_binding_is_read_as_it_is_alone(label: ConfidentialityLabel) -> None:
    (binding,) = read_binding(bound(write_label(label).decode()))
    assert binding.label == label
    assert binding.references == (Reference("./a.txt", None),)


def bound(*labels: str, between: str = "") -> str:
    bindings = "".join(
        f'<mb:MetadataBinding><mb:Metadata>{label}</mb:Metadata>{between}<mb:DataReference URI="./a.txt"/></mb:MetadataBinding>'
        for label in labels
    )
    return (
        '<mb:BindingInformation xmlns:mb="urn:nato:stanag:4778:bindinginformation:1:0">'
        f"<mb:MetadataBindingContainer>{bindings}</mb:MetadataBindingContainer></mb:BindingInformation>"
    )


def test_a_binding_of_several_labels_is_read_as_several_and_is_no_marking() -> None:
    text = bound(label_xml(HEAD), label_xml(HEAD.replace("SECRET", "RESTRICTED")))
    assert [binding.label.classification for binding in read_binding(text)] == ["SECRET", "RESTRICTED"]
    with pytest.raises(MarkingError, match="2 labels in one binding, expected one"):
        read_xml(text)


def test_metadata_of_another_kind_beside_a_label_is_passed_over() -> None:
    other = '<dc:title xmlns:dc="http://purl.org/dc/elements/1.1/">a title</dc:title>'
    (binding,) = read_binding(bound(other + label_xml(HEAD)))
    assert binding.label.classification == "SECRET"


# --- what is refused ------------------------------------------------------------------------------------------------

BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        pytest.param("", "not well-formed XML: no element found", None, id="nothing"),
        pytest.param("<a>", "not well-formed XML", None, id="an-element-not-closed"),
        pytest.param("<a/><b/>", "not well-formed XML: junk after document element", None, id="two-roots"),
        pytest.param("<a>&b;</a>", "not well-formed XML: undefined entity", None, id="an-undefined-entity"),
        pytest.param(f"{BOMB}<a>&b;</a>", "a document type or entity declaration, expected none", "[<!ENTITY", id="an-entity-bomb"),
        pytest.param('<!DOCTYPE a SYSTEM "http://evil.test/x"><a/>', "a document type or entity", None, id="an-external-document-type"),
        pytest.param('<?xml version="1.0" encoding="UTF-16"?><a/>', "encoding `UTF-16`, expected `UTF-8`", "UTF-16", id="an-encoding"),
        pytest.param("<a>" * 17 + "</a>" * 17, "more than 4096 elements, or more than 16 within one another", None, id="too-deep"),
        pytest.param("<a>" + "<b/>" * 4096 + "</a>", "more than 4096 elements", None, id="too-many"),
        pytest.param("<a/>" + " " * XML_CHARACTERS_MAX, f"more than {XML_CHARACTERS_MAX} characters", None, id="too-long"),
        pytest.param("<a>\ud800</a>", "half a surrogate pair", "\ud800", id="half-a-surrogate-pair"),
        pytest.param("<label/>", "root element `label`, expected `originatorConfidentialityLabel`", "<label", id="another-root"),
        pytest.param(
            label_xml(HEAD, namespace="urn:nato:stanag:4774:other"), "namespace `urn:nato:stanag:4774:other`", "<orig", id="namespace"
        ),
        pytest.param(
            label_xml(HEAD, root="metadataConfidentialityLabel"),
            "is not the originator's label of the thing",
            "<meta",
            id="of-its-metadata",
        ),
        pytest.param(
            label_xml(HEAD, root="alternativeConfidentialityLabel"),
            "is not the originator's label of the thing",
            "<alt",
            id="an-alternative",
        ),
        pytest.param(
            label_xml('<x:Category xmlns:x="urn:x"/>' + HEAD), "`Category` is in namespace `urn:x`", "<x:Cat", id="inner-namespace"
        ),
        pytest.param(
            label_xml(HEAD + "<Clearance/>"), "unknown element `Clearance` in `ConfidentialityInformation`", "<Clear", id="unknown"
        ),
        pytest.param(label_xml("<Classification>SECRET</Classification>"), "no `PolicyIdentifier` in", "<Confid", id="no-policy"),
        pytest.param(label_xml("<PolicyIdentifier>NATO</PolicyIdentifier>"), "no `Classification` in", "<Confid", id="no-classification"),
        pytest.param(
            label_xml(HEAD + "<Classification>RESTRICTED</Classification>"),
            "a second `Classification` in `ConfidentialityInformation`, expected one",
            "<Classification>R",
            id="a-second-classification",
        ),
        pytest.param(
            label_xml(HEAD + "<PolicyIdentifier>X</PolicyIdentifier>"), "a second `PolicyIdentifier`", "<PolicyIdentifier>X", id="policy"
        ),
        pytest.param(
            f'<originatorConfidentialityLabel xmlns="{NAMESPACE}">'
            f"<ConfidentialityInformation>{HEAD}</ConfidentialityInformation><ConfidentialityInformation/></originatorConfidentialityLabel>",
            "a second `ConfidentialityInformation`",
            "<ConfidentialityInformation/>",
            id="a-second-information",
        ),
        pytest.param(label_xml(HEAD.replace("SECRET", "")), "`Classification` is empty", "<Classification>", id="an-empty-classification"),
        pytest.param(
            label_xml(HEAD.replace("SECRET", "UN<!-- -->CLASSIFIED")),
            "a comment or instruction within `Classification`",
            "<!--",
            id="a-comment-within-a-value",
        ),
        pytest.param(label_xml(HEAD.replace("SECRET", "SEC<?x y?>RET")), "a comment or instruction within", "<?x", id="an-instruction"),
        pytest.param(
            label_xml(HEAD.replace("SECRET", "<b>SECRET</b>")), "an element within `Classification`", "<b>", id="an-element-in-text"
        ),
        pytest.param(label_xml("SECRET" + HEAD), "text `SECRET` between the elements of", "<Confid", id="text-between-elements"),
        pytest.param(
            label_xml(HEAD + category("Releasable To", "JPN") + category("releasable to", "DEU")),
            "a second category `Releasable To`, expected one",
            '<Category TagName="releasable',
            id="a-category-twice",
        ),
        pytest.param(
            label_xml(HEAD + category("Releasable To", "JPN", "DEU", "jpn")),
            "value `jpn` twice in `Releasable To`",
            "<GenericValue>jpn",
            id="a-value-twice",
        ),
        pytest.param(
            label_xml(HEAD + category("Releasable To", "JPN", kind="INFORMATIVE")),
            "category `Releasable To` of type `INFORMATIVE`, expected `PERMISSIVE`",
            "<Category",
            id="a-restriction-called-information",
        ),
        pytest.param(label_xml(HEAD + '<Category TagName="Only"/>'), "a category without `Type`", "<Category", id="no-type"),
        pytest.param(label_xml(HEAD + '<Category Type="PERMISSIVE"/>'), "a category without `TagName`", "<Category", id="no-tag-name"),
        pytest.param(label_xml(HEAD + category("Only")), "no `GenericValue` in `Category`", "<Category", id="no-value"),
        pytest.param(
            label_xml(HEAD + '<Category TagName="Only" Type="PERMISSIVE" Any="1"/>'), "unknown attribute `Any`", "<Cat", id="attribute"
        ),
        pytest.param(
            label_xml(HEAD + category("Only", "JPN") + category("Releasable To", "DEU")),
            "`Only` beside `Releasable To`, expected one of them",
            "<GenericValue>JPN",
            id="only-and-more",
        ),
        pytest.param(
            label_xml(HEAD + category("Releasable To", "the Public", "JPN")),
            "`the Public` beside a list",
            "<GenericValue>the",
            id="all-and-one",
        ),
        pytest.param(
            label_xml(HEAD.replace("SECRET", "TOP SECRET") + category("Context", "KFOR")),
            "context `KFOR` with `TOP SECRET`, which is of the Alliance alone",
            "<GenericValue>KFOR",
            id="top-secret-in-a-context",
        ),
        pytest.param(
            label_xml(HEAD.replace("<PolicyIdentifier>", '<PolicyIdentifier URI="urn:oid:1.2.3">')),
            "`URI` `urn:oid:1.2.3` is not that of policy `NATO`",
            "<PolicyId",
            id="another-policys-number",
        ),
        pytest.param(
            label_xml(HEAD, after="<CreationDateTime>yesterday</CreationDateTime>"), "`yesterday` is not a time like", "<Crea", id="a-time"
        ),
        pytest.param(
            label_xml(HEAD, after="<CreationDateTime>2026-02-30T00:00:00Z</CreationDateTime>"),
            "is not in the calendar",
            "<Crea",
            id="a-date",
        ),
    ],
)
def test_what_is_not_a_label_is_refused_with_its_place(text: str, message: str, place: str | None) -> None:
    with pytest.raises(MarkingError) as refused:
        read_label(text)
    assert not isinstance(refused.value, Unresolved)
    assert refused.value.code == "malformed-marking"
    assert message in str(refused.value)
    assert str(refused.value).endswith(f"at character {refused.value.offset} of the label")
    if place is not None:
        assert text[refused.value.offset :].startswith(place)


@pytest.mark.parametrize(
    ("inner", "after", "code", "message", "place"),
    [
        pytest.param(
            HEAD.replace("SECRET", "MOST SECRET"),
            "",
            "unknown-level",
            "unknown classification `MOST SECRET`",
            "<Classification",
            id="level",
        ),
        pytest.param(
            HEAD + category("Releasible To", "JPN"),
            "",
            "unknown-token",
            "unknown category `Releasible To`, expected one like `Releasable To`",
            "<Category",
            id="category",
        ),
        pytest.param(
            HEAD + category("Context", "KFR"),
            "",
            "unknown-token",
            "unknown context `KFR`, expected one like `KFOR`",
            "<Generic",
            id="context",
        ),
        pytest.param(
            HEAD + category("Context", "KFOR", "EAPC"),
            "",
            "unknown-token",
            "contexts `KFOR` and `EAPC`, expected one",
            "<Generic",
            id="contexts",
        ),
        pytest.param(HEAD + category("Only", "J P!"), "", "unknown-token", "unknown value `J P!` of `Only`", "<GenericValue>J", id="value"),
        pytest.param(
            HEAD + "<PrivacyMark>CLEAR</PrivacyMark>",
            "",
            "unknown-token",
            "`PrivacyMark` is not understood here",
            "<Priv",
            id="privacy-mark",
        ),
        pytest.param(HEAD, "<SuccessionHandling/>", "unknown-token", "`SuccessionHandling` is not understood", "<Succ", id="succession"),
        pytest.param(
            "<PolicyIdentifier>DEU</PolicyIdentifier><Classification>GEHEIM</Classification>" + category("Only", "DEU"),
            "",
            "unknown-token",
            "categories of policy `DEU` are not understood here",
            "<GenericValue>DEU",
            id="categories-of-another-policy",
        ),
    ],
)
def test_what_is_well_formed_and_unknown_is_unresolved_with_its_place(inner: str, after: str, code: str, message: str, place: str) -> None:
    text = label_xml(inner, after=after)
    with pytest.raises(Unresolved) as unresolved:
        read_label(text)
    assert unresolved.value.code == code
    assert message in str(unresolved.value)
    assert text[unresolved.value.offset :].startswith(place)


@pytest.mark.parametrize(
    ("inner", "kind", "message"),
    [
        pytest.param("<policy id='1.2'/><classification lacv='1'/>", Unresolved, "unknown policy `1.2`", id="policy"),
        pytest.param("<policy id='1.3.26.1.3.1'/><classification lacv='9'/>", Unresolved, "unknown classification `9`", id="level"),
        pytest.param("<policy id='1.3.26.1.3.1'/><classification lacv='x'/>", MarkingError, "`lacv` `x`, expected a number", id="number"),
        pytest.param(
            "<policy id='1.3.26.1.3.1'/><classification lacv='1'/><tag type='permissive' id='9' lacv='1'/>",
            Unresolved,
            "unknown category `9`",
            id="category",
        ),
        pytest.param(
            "<policy id='1.3.26.1.3.1'/><classification lacv='1'/><tag type='permissive' id='1.3.26.1.4.4' lacv='7'/>",
            Unresolved,
            "unknown value `7` of `Context`",
            id="value",
        ),
        pytest.param(
            "<policy id='1.3.26.1.3.1'/><classification lacv='1'/><tag type='informative' id='1.3.26.1.4.5' lacv='392'/>",
            MarkingError,
            "category `Only` of type `informative`",
            id="type",
        ),
    ],
)
def test_a_numbered_label_is_read_as_strictly(inner: str, kind: type[MarkingError], message: str) -> None:
    with pytest.raises(kind) as refused:
        read_label(f"<label xmlns='http://surevine.com/xmlns/spiffy'>{inner}</label>")
    assert type(refused.value) is kind
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(bound("<a/>"), "no label in the binding", id="no-label"),
        pytest.param(bound(label_xml(HEAD) + label_xml(HEAD)), "a second label in one `MetadataBinding`", id="two-labels"),
        pytest.param(bound(label_xml(HEAD, namespace="urn:x")), "namespace `urn:x`, expected", id="a-label-of-another-namespace"),
        pytest.param(bound(label_xml(HEAD), between="<mb:Signature/>"), "unknown element `Signature`", id="an-unknown-element"),
        pytest.param(bound(label_xml(HEAD)).replace(' URI="./a.txt"', ""), "`DataReference` without `URI`", id="no-address"),
        pytest.param(label_xml(HEAD), "root element `originatorConfidentialityLabel`, expected `BindingInformation`", id="not-a-binding"),
    ],
)
def test_what_is_not_a_binding_of_labels_is_refused(text: str, message: str) -> None:
    with pytest.raises(MarkingError) as refused:
        read_binding(text)
    assert message in str(refused.value)


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(MarkingError, match="byte 3 of the label is not UTF-8"):
        read_label(b"<a>\xff</a>")


def test_the_place_is_counted_in_characters_of_the_text_as_given() -> None:
    text = "\n  " + label_xml("<!-- é 漢字 -->" + HEAD + category("Wxyz", "1"))
    with pytest.raises(Unresolved) as unresolved:
        read_label(text)
    assert text[unresolved.value.offset :].startswith('<Category TagName="Wxyz"')


@settings(deadline=None)
@given(st.text(alphabet="<>/&;!?-=\"' abNATOSECRT\n[]\ud800é", max_size=60) | st.text(max_size=60))
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    for read in (read_label, read_binding, read_xml):
        with pytest.raises(MarkingError):
            read(text)


@settings(deadline=None)
@given(confidentiality_labels(), st.data())
def test_a_label_with_a_part_cut_out_or_doubled_is_refused_or_says_no_more(label: ConfidentialityLabel, data: st.DataObject) -> None:
    written = write_label(label).decode()
    start = data.draw(st.integers(0, len(written)))
    end = data.draw(st.integers(start, len(written)))
    part = written[start:end]
    changed = written[:start] + data.draw(st.sampled_from(["", part + part])) + written[end:]
    try:
        said = read_label(changed)
    except MarkingError:
        return
    # Whole values may be gone, and with `Only` or `Releasable To` gone the context's audience is left.
    everybody = {*(label.audience or ()), *CONTEXT_AUDIENCES[said.context], *(_codes_in(changed))}
    assert label.audience is None or said.audience is not None
    assert set(said.audience or ()) <= everybody


def _codes_in(text: str) -> set[str]:
    return {part.partition("<")[0].upper().replace(" ", "-") for part in text.split("<GenericValue>")[1:]}
