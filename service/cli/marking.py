"""`entente marking parse`, `write`, `rollup`, `check`: markings by themselves, from files alone (DESIGN section 9).

One JSON line in, one JSON line out, in order; nothing else on stdout. Nothing is decided here, and no data folder is needed.

    parse     {"marking": "(S//REL TO USA, JPN)"}                  what it says, below
              {"xml": "<..."}                                      {"labels": [what each says, and what it is bound to]}
    write     {"label": {...}} or {"marking": "..."}               {"banner": ..., "portion": ...}, or {"xml": "<..."}
    rollup    {"portions": ["(S//NF)", ...]}                       {"banner": the tightest lawful one}
    check     {"portions": ["(S//NF)", ...], "banner": "..."}      {"verdict": ..., "banner": the tightest lawful one, "why": ...}

`parse` takes `portion` or `banner` in place of `marking` (which is a portion mark if it begins with a parenthesis), or a text
alone as a JSON string; in `NATO-4774` a text may be a label of STANAG 4774 as XML. `xml` is such a label, or a binding of STANAG
4778 with any number of them; each is answered with `created`, where it says when it was made, and `references` (`uri`,
`media_type`). `write` takes a label (DESIGN section 9), or a marking that is to be written another way: `--format text` or
`stanag4774`, which `NATO-4774` alone has, as well as `--language fr`; with `created`, a time, the XML says when it was made. What is
written is read again first. `rollup` takes a `banner` too, for marks that leave a part to it (`(S//REL)`). The verdict is the first
that applies of `invalid`, `too loose`, `too strict`; or else `ok`, and `banner` then is the one given, as it is to be written.

`parse` answers `marking` (as given), `level`, `releasable_to` (`["*"]` where no audience is named, `[]` for nobody),
`display_to` (those beyond, or `null`), `caveats`, `issuers` (whose level it is, where not ours), `originators` (whose
information it says it holds), `controls` (what is kept word by word), `unreleasable`, and the marking as it is to be
written: `banner` and `portion`.

A line that is not understood is answered with `error`, and where a mark is at fault `code`, `offset` (characters, from 0)
and `nearest` (a legal marking, or `null`); in `check` with the verdict `invalid`.

The scheme of `--policies` says which profile; what it holds is read, and the published words and codes of that profile
beside it, for a page is lawful or not whoever the partners are. With `--profile` alone, the profile's published register
is all there is, and no policies are read. Exit codes: 0; 1 where any line has an error or another verdict than `ok`, or the
policies are refused; 2 usage, or a file that cannot be read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from service.errors import Rejected
from service.labels.equivalence import Equivalences, Meaning
from service.labels.label import Label
from service.labels.markings import profile_of
from service.labels.markings.base import Marking, MarkingError
from service.labels.markings.ic2016 import Ic2016Profile
from service.labels.markings.nato import NatoProfile
from service.labels.markings.nato_spif import Language
from service.labels.markings.pages import PageError, Verdict, as_label, banner_of, check_known, judge, read_known
from service.labels.markings.register import Register, published, widened
from service.labels.scheme import Profile
from service.policy import Bundle, PolicyRejected, load_bundle
from service.policy.reader import moment_of
from service.releaselog.leaf import time_text
from service.settings import IMPORT_LINE_BYTES_MAX
from service.sharing.intake import parse_json

marking_app = typer.Typer(help="Markings: read, rolled up, checked. From files alone.", no_args_is_help=True, add_completion=False)


class Form(StrEnum):
    """How a label is written."""

    TEXT = "text"
    STANAG_4774 = "stanag4774"


DONE, FOUND, COULD_NOT = 0, 1, 2

_INVALID: Final = {"verdict": Verdict.INVALID.value, "banner": None}

File = Annotated[Path, typer.Argument(metavar="FILE", help="A JSON value a line; `-` is stdin.")]
ProfileOption = Annotated[
    Profile | None, typer.Option("--profile", help="The marking profile; default that of `--policies`.", show_default=False)
]
Policies = Annotated[Path, typer.Option("--policies", help="The bundle's folder.", envvar="ENTENTE_POLICIES")]
At = Annotated[
    str, typer.Option("--at", help="The day or time (UTC) for members and equivalences; default now.", metavar="TIME", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Accepted: answers are JSON always.")]
Data = Annotated[
    Path, typer.Option("--data", help="Accepted, not used: this command reads files only.", envvar="ENTENTE_DATA", hidden=True)
]
Token = Annotated[str, typer.Option("--token", help="Accepted, not used.", envvar="ENTENTE_TOKEN", hidden=True)]


@marking_app.command()
def parse(
    context: typer.Context,
    file: File,
    profile: ProfileOption = None,
    policies: Policies = Path("policies"),
    at: At = "",
    as_json: AsJson = False,
    data: Data = Path("data"),
    token: Token = "",
) -> None:
    """Say what each marking means: level, audience, caveats, originators, and what is kept word by word."""
    register = _register(context, profile, policies, at)
    _answer(file, lambda line: _parsed(line, register), without={})


@marking_app.command()
def write(
    context: typer.Context,
    file: File,
    form: Annotated[Form, typer.Option("--format", help="As a text, or as XML of STANAG 4774.")] = Form.TEXT,
    language: Annotated[Language, typer.Option("--language", help="Of the banner.")] = Language.ENGLISH,
    profile: ProfileOption = None,
    policies: Policies = Path("policies"),
    at: At = "",
    as_json: AsJson = False,
    data: Data = Path("data"),
    token: Token = "",
) -> None:
    """Write each label, or marking, in strict form: as a text, or as XML of STANAG 4774."""
    register = _register(context, profile, policies, at)
    if (form is Form.STANAG_4774 or language is Language.FRENCH) and register.scheme.profile is not Profile.NATO_4774:
        raise _could_not(
            f"`--format stanag4774` and `--language fr` are of profile `{Profile.NATO_4774}`, this is `{register.scheme.profile}`"
        )
    _answer(file, lambda line: _rewritten(line, register, form=form, language=language), without={})


@marking_app.command()
def rollup(
    context: typer.Context,
    file: File,
    profile: ProfileOption = None,
    policies: Policies = Path("policies"),
    at: At = "",
    as_json: AsJson = False,
    data: Data = Path("data"),
    token: Token = "",
) -> None:
    """Give the tightest lawful banner of each page of portion marks."""
    register = _register(context, profile, policies, at)
    _answer(file, lambda line: _rolled(line, register), without={"banner": None})


@marking_app.command()
def check(
    context: typer.Context,
    file: File,
    profile: ProfileOption = None,
    policies: Policies = Path("policies"),
    at: At = "",
    as_json: AsJson = False,
    data: Data = Path("data"),
    token: Token = "",
) -> None:
    """Say of each banner whether it is lawful over its portion marks: ok, too loose, too strict or invalid."""
    register = _register(context, profile, policies, at)
    _answer(file, lambda line: _checked(line, register), without=_INVALID)


# --- answers ----------------------------------------------------------------------------------------------------------


def _parsed(value: object, register: Register) -> dict[str, Any]:
    if isinstance(value, dict) and value.keys() == {"xml"}:
        return _bound(value["xml"], register)
    text, portion = _marking_in(value)
    try:
        marking = read_known(text, portion=portion, register=register)
    except MarkingError as error:
        return {"marking": text, **_error(error, str(error))}
    return {"marking": text, **_said(marking, portion=portion, register=register)}


def _bound(text: object, register: Register) -> dict[str, Any]:
    """What the labels of an XML label or binding say."""
    profile = profile_of(register.scheme)
    if not isinstance(text, str):
        raise Rejected("`xml` is a string", code="line")
    if not isinstance(profile, NatoProfile):
        raise Rejected(f"`xml` is read in profile `{Profile.NATO_4774}`, this is `{register.scheme.profile}`", code="line")
    found = []
    try:
        for marking, binding in profile.parse_xml(text):
            check_known(marking, register)
            created = {} if binding.label.created is None else {"created": time_text(binding.label.created)}
            references = [{"uri": one.uri, "media_type": one.content_type} for one in binding.references]
            found.append({**_said(marking, portion=False, register=register), **created, "references": references})
    except MarkingError as error:
        return _error(error, str(error))
    return {"labels": found}


def _rewritten(value: object, register: Register, *, form: Form, language: Language) -> dict[str, Any]:
    members = _members(value, required=(), optional=("label", "marking", "created"))
    if ("label" in members) == ("marking" in members):
        raise Rejected("expected one of `label` and `marking`", code="line")
    if "created" in members and form is not Form.STANAG_4774:
        raise Rejected("`created` is for `--format stanag4774`: no text says when it was made", code="line")
    profile = profile_of(register.scheme)
    try:
        if "label" in members:
            label = Label.from_json(members["label"])
        else:
            text, portion = _marking_in(members["marking"])
            label = as_label(read_known(text, portion=portion, register=register), own=register.scheme.own)
        if isinstance(profile, NatoProfile) and form is Form.STANAG_4774:
            xml = profile.write_xml(label, created=_created(members.get("created"))).decode("utf-8")
            read_known(xml, portion=False, register=register)
            return {"xml": xml}
        banner = profile.write_banner(label, language) if isinstance(profile, NatoProfile) else profile.write_banner(label)
        read_known(banner, portion=False, register=register)
        return {"banner": banner, "portion": profile.write_portion(label)}
    except MarkingError as error:
        return _error(error, str(error))


def _created(given: object) -> datetime | None:
    if given is None:
        return None
    at = moment_of(given) if isinstance(given, str) else None
    if at is None:
        raise Rejected("`created` is a time like `2026-11-22T10:00:00.000000Z`", code="line")
    return at


def _said(marking: Marking, *, portion: bool, register: Register) -> dict[str, Any]:
    return {
        "level": marking.level,
        "releasable_to": ["*"] if marking.releasable_to is None else list(marking.releasable_to),
        "display_to": None if marking.display_to is None else list(marking.display_to),
        "caveats": list(marking.caveats),
        "issuers": list(marking.issuers),
        "originators": list(marking.originators),
        "controls": list(marking.controls),
        "unreleasable": marking.unreleasable,
        **_written(marking, portion=portion, register=register),
    }


def _written(marking: Marking, *, portion: bool, register: Register) -> dict[str, str | None]:
    profile = profile_of(register.scheme)
    if isinstance(profile, Ic2016Profile):
        reading = profile.reading(marking.text, portion=portion)
        return {"banner": profile.written(reading, portion=False), "portion": profile.written(reading, portion=True)}
    if marking.issuers:
        # Another's level has no words in this profile: it is written once a table has put it on our ladder.
        return {"banner": None, "portion": None}
    label = as_label(marking, own=register.scheme.own)
    return {"banner": profile.write_banner(label), "portion": profile.write_portion(label)}


def _rolled(value: object, register: Register) -> dict[str, Any]:
    members = _members(value, required=("portions",), optional=("banner",))
    portions, banner = _portions_in(members), members.get("banner")
    if banner is not None and not isinstance(banner, str):
        raise Rejected("`banner` is a string", code="line")
    try:
        return {"banner": banner_of(portions, register=register, banner=banner)}
    except PageError as error:
        return {"banner": None, **_error(error.marking, str(error))}


def _checked(value: object, register: Register) -> dict[str, Any]:
    members = _members(value, required=("portions", "banner"))
    portions, banner = _portions_in(members), members["banner"]
    if not isinstance(banner, str):
        raise Rejected("`banner` is a string", code="line")
    judged = judge(portions, banner, register=register)
    return {"verdict": judged.verdict.value, "banner": judged.banner, "why": judged.why}


def _error(error: MarkingError | None, message: str) -> dict[str, Any]:
    if error is None:
        return {"error": message}
    return {"error": message, "code": error.code, "offset": error.offset, "nearest": error.nearest}


# --- lines ------------------------------------------------------------------------------------------------------------


def _answer(file: Path, answer: Callable[[object], Mapping[str, Any]], *, without: Mapping[str, Any]) -> None:
    """Answer every line, and end with the exit code. `without` is the answer, but for `error`, to a line not understood."""
    clean = True
    with _opened(file) as stream:
        for line in _lines(stream):
            try:
                found = answer(parse_json(line))
            except Rejected as problem:
                found = {**without, "error": str(problem)}
            clean = clean and "error" not in found and found.get("verdict", Verdict.OK) == Verdict.OK
            if "verdict" in found:
                found = {**found, "why": found.get("why", found.get("error"))}
            sys.stdout.write(json.dumps(found, separators=(",", ":")) + "\n")
    sys.stdout.flush()
    raise typer.Exit(DONE if clean else FOUND)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError as problem:
        raise _could_not(f"cannot read `{file}`: {(problem.strerror or 'it failed').lower()}") from None
    with stream:
        yield stream


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines without their ends; one that is too long is cut, and is then no JSON."""
    while line := stream.readline(IMPORT_LINE_BYTES_MAX):
        rest = line
        while len(rest) == IMPORT_LINE_BYTES_MAX and not rest.endswith(b"\n"):
            rest = stream.readline(IMPORT_LINE_BYTES_MAX)
        yield b"{" if rest is not line else line.rstrip(b"\r\n")


def _marking_in(value: object) -> tuple[str, bool]:
    """The text to read, and whether as a portion mark."""
    if isinstance(value, str):
        return value, value.lstrip().startswith("(")
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in ("marking", "portion", "banner"):
        raise Rejected('a line is `{"marking": ...}`, `{"portion": ...}`, `{"banner": ...}` or a string', code="line")
    ((name, text),) = value.items()
    if not isinstance(text, str):
        raise Rejected(f"`{name}` is a string", code="line")
    return text, name == "portion" or (name == "marking" and text.lstrip().startswith("("))


def _members(value: object, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Rejected("a line is a JSON object", code="line")
    for name in required:
        if name not in value:
            raise Rejected(f"a line without `{name}`", code="line")
    for name in value:
        if name not in required and name not in optional:
            raise Rejected(
                f"unknown member `{name[:64]}`, expected {' and '.join(f'`{each}`' for each in (*required, *optional))}", code="line"
            )
    return value


def _portions_in(members: Mapping[str, Any]) -> list[str]:
    portions = members["portions"]
    if not isinstance(portions, list) or not all(isinstance(each, str) for each in portions):
        raise Rejected("`portions` is a list of strings", code="line")
    return portions


# --- what it is read against ------------------------------------------------------------------------------------------


def _register(context: typer.Context, profile: Profile | None, policies: Path, at: str) -> Register:
    moment = moment_of(at) if at else datetime.now(UTC)
    if moment is None:
        raise _could_not(f"`{at}` is neither a day nor a time, expected `2026-11-22` or `2026-11-22T10:00:00Z`")
    source = context.get_parameter_source("policies")
    # By the source's name: Typer brings a click of its own, whose values are not those of another's.
    if profile is not None and (source is None or source.name != "COMMANDLINE"):
        return published(profile)
    bundle = _bundle(policies)
    scheme = bundle.scheme if profile is None else replace(bundle.scheme, profile=profile)
    try:
        equivalences = Equivalences(
            (Meaning(row.issuer, row.name, row.level, row.period.begins, row.period.ends) for row in bundle.equivalences), scheme=scheme
        )
        register = widened(
            scheme,
            codes=bundle.known_codes,
            members=bundle.members(moment),
            level_of=lambda issuer, name: next(reversed(equivalences.meant(issuer, name, at=moment)), None),
        )
        profile_of(register.scheme)
    except Rejected as problem:
        raise _could_not(problem) from None
    return register


def _bundle(folder: Path) -> Bundle:
    try:
        return load_bundle(folder)
    except PolicyRejected as refused:
        _complain(refused.findings)
        raise typer.Exit(FOUND) from None
    except Rejected as problem:
        raise _could_not(f"{problem}; `--profile` needs no policies") from None


def _could_not(problem: object) -> typer.Exit:
    _complain([problem])
    return typer.Exit(COULD_NOT)


def _complain(problems: Iterable[object]) -> None:
    for problem in problems:
        typer.echo(str(problem), err=True)
