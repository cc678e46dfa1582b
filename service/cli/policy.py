"""`entente policy check`, `format`, `test`, `decide`, `explain`: the commands about policy that need files only (DESIGN section 9).

They need no data folder and no token; `--data` and `--token` are accepted, as everywhere, and used by `test` alone, which looks at what is
stored too where it is given them. Exit codes: 0 clean or warnings only, 1 errors found in the input or a case that fails, 2 could not do
it. What a program reads is on stdout, what went wrong on stderr.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from service.cli.session import acting_as, opened, settings_of
from service.errors import Rejected
from service.identity.clients import Role
from service.labels.label import Label
from service.policy import (
    Bundle,
    CaseResult,
    EngineKind,
    Explanation,
    Finding,
    NearMiss,
    PolicyRejected,
    Severity,
    answer_line,
    check_files,
    digest_of,
    load_bundle,
    read_bundle,
    read_directory,
    run_cases,
)
from service.policy.format import format_files
from service.policy.meaning import CannotProve
from service.policy.prove import never_findings
from service.policy.reader import moment_of
from service.policy.review import idle_rules
from service.sharing.intake import label_of_marking

policy_app = typer.Typer(help="Policy bundles: check, format, test, decide, explain.", no_args_is_help=True, add_completion=False)

DONE, FOUND, COULD_NOT = 0, 1, 2
_RULES_MAX = 100_000
"""Of a bundle that is checked by itself: all there can be, as nobody else waits. How far the work went is said."""

Directory = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The bundle's folder; default `--policies`.", show_default=False)]
Policies = Annotated[Path, typer.Option("--policies", help="The bundle's folder.", envvar="ENTENTE_POLICIES")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Data = Annotated[
    Path, typer.Option("--data", help="Accepted, not used: this command reads files only.", envvar="ENTENTE_DATA", hidden=True)
]
Token = Annotated[str, typer.Option("--token", help="Accepted, not used.", envvar="ENTENTE_TOKEN", hidden=True)]
StoredData = Annotated[
    Path | None, typer.Option("--data", envvar="ENTENTE_DATA", help="With `--token`: the data folder whose labels try the rules too.")
]
OfficersToken = Annotated[str, typer.Option("--token", envvar="ENTENTE_TOKEN", help="An officer's, to look at what is stored.")]
At = Annotated[str, typer.Option("--at", help="A day or a time (UTC); default now.", metavar="TIME", show_default=False)]
Engines = Annotated[EngineKind, typer.Option("--engine", help="Which engine decides.")]


@policy_app.command()
def check(
    directory: Directory = None,
    policies: Policies = Path("policies"),
    strict: Annotated[bool, typer.Option("--strict", help="Warnings too are exit 1.")] = False,
    as_json: AsJson = False,
    data: Data = Path("data"),
    token: Token = "",
) -> None:
    """Say everything that is wrong with a bundle, as `file:line:column: code: message`."""
    folder = directory or policies
    try:
        files = read_directory(folder)
    except Rejected as problem:
        raise _could_not(problem) from None
    now = _now()
    findings = check_files(files, at=now)
    errors = sum(1 for finding in findings if finding.severity is Severity.ERROR)
    if not errors:
        # Not looked for where a bundle is only read: this asks about every possible label.
        bundle = read_bundle(files, at=now)
        found = (*never_findings(bundle, now), *idle_rules(bundle, now, rules_max=_RULES_MAX))
        errors = sum(1 for finding in found if finding.severity is Severity.ERROR)
        findings = tuple(sorted((*findings, *found)))
    warnings = len(findings) - errors
    digest = None if errors else digest_of(files)
    if as_json:
        _say_json({"digest": digest, "findings": [finding.to_json() for finding in findings]})
    else:
        _say_findings(findings)
        verdict = f"refused, {_counted(errors, 'error')}" if errors else f"digest {digest}"
        typer.echo(f"{folder}: {verdict}, {_counted(warnings, 'warning')}")
    raise typer.Exit(FOUND if errors or (strict and warnings) else DONE)


@policy_app.command("format")
def format_(
    directory: Directory = None,
    policies: Policies = Path("policies"),
    only_check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if something would change.")] = False,
    as_json: AsJson = False,
    data: Data = Path("data"),
    token: Token = "",
) -> None:
    """Write a bundle's files tidily, saying the same; a file with a mistake in it stays as it is."""
    folder = directory or policies
    try:
        files = read_directory(folder)
        formatted = format_files(files)
        changed = sorted(formatted.changed)
        if not only_check:
            for name in changed:
                replace_file(folder / name, old=files[name], new=formatted.changed[name])
    except Rejected as problem:
        raise _could_not(problem) from None
    if as_json:
        findings = [finding.to_json() for finding in formatted.errors]
        _say_json({"changed": changed, "written": bool(changed) and not only_check, "findings": findings})
    else:
        _say_findings(formatted.errors)
        for name in changed:
            typer.echo(f"{folder / name}: {'would be formatted' if only_check else 'formatted'}")
        if not changed:
            typer.echo(f"{folder}: nothing to format")
    raise typer.Exit(FOUND if formatted.errors or (only_check and changed) else DONE)


def replace_file(path: Path, *, old: bytes, new: bytes) -> None:
    """Put `new` in the place of a file's content `old`, whole or not at all, also if the power fails.

    Raises:
        Rejected: the file is no longer as it was read, or cannot be written.
    """
    # A link stays one: what it leads to is written.
    target = path.resolve()
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(new)
            stream.flush()
            os.fchmod(stream.fileno(), stat.S_IMODE(target.stat().st_mode))
            os.fsync(stream.fileno())
        if target.read_bytes() != old:
            raise Rejected(f"`{path}` was changed by someone else meanwhile, run the command again", code="changed-meanwhile")
        temporary.replace(target)
        temporary = None
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as failed:
        raise Rejected(f"cannot write `{path}`: {failed.strerror}", code="unwritable") from failed
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@policy_app.command()
def test(
    directory: Directory = None,
    policies: Policies = Path("policies"),
    engine: Engines = EngineKind.COMPILED,
    as_json: AsJson = False,
    data: StoredData = None,
    token: OfficersToken = "",
) -> None:
    """Run the bundle's cases, outcome and rules, and its `never` statements; say which rules are tried by nothing, or decide nothing."""
    bundle, now = _bundle(directory or policies), _now()
    report = run_cases(bundle, engine=engine)
    failed = tuple(sorted((*never_findings(bundle, now), *(result.finding() for result in report.failed))))
    idle = idle_rules(bundle, now, rules_max=_RULES_MAX)
    tried = _tried_by_stored(bundle, data, token)
    untried = [id for id in report.uncovered if id not in tried.rules]
    passed = len(report.results) - len(report.failed)
    if as_json:
        _say_json(
            {
                "digest": bundle.digest,
                "cases": [_case_json(result) for result in report.results],
                "passed": passed,
                "failed": len(report.failed),
                "findings": [finding.to_json() for finding in (*failed, *idle)],
                "covered": list(report.covered),
                "uncovered": list(report.uncovered),
                "stored": tried.to_json(),
                "untried": untried,
            }
        )
    else:
        _say_findings((*failed, *idle))
        typer.echo(f"{passed} of {_counted(len(report.results), 'case')} passed")
        typer.echo(f"{len(report.covered)} of {_counted(len(bundle.rules), 'rule')} decided some case")
        typer.echo(tried.told(len(bundle.rules)))
        for id in untried:
            typer.echo(f"no case is decided by {id}" + ("" if tried.labels is None else ", and no stored label is one it is true for"))
    raise typer.Exit(FOUND if failed else DONE)


@dataclass(frozen=True, slots=True)
class _Tried:
    """The rules that are true for some of so many stored labels; no number where those were not looked at, and `why`."""

    rules: frozenset[str]
    labels: int | None
    why: str = ""

    def told(self, of: int) -> str:
        if self.labels is None:
            return f"stored labels were not looked at: {self.why}"
        return f"{len(self.rules)} of {_counted(of, 'rule')} are true for some of {_counted(self.labels, 'stored label')}"

    def to_json(self) -> dict[str, Any]:
        if self.labels is None:
            return {"looked_at": False, "why": self.why}
        return {"looked_at": True, "labels": self.labels, "rules": sorted(self.rules)}


def _tried_by_stored(bundle: Bundle, data: Path | None, token: str) -> _Tried:
    """Which rules the stored labels try, on record; cases need neither a data folder nor a token."""
    if not token:
        return _Tried(frozenset(), None, "that needs a data folder and an officer's token (`--data`, `--token`)")
    settings = settings_of(data)
    if data is None and not settings.data.is_dir():
        return _Tried(frozenset(), None, f"no installation in `{settings.data}`")
    with opened(settings) as installation:
        actor = acting_as(installation, token, Role.OFFICER)
        try:
            rules, labels = installation.publishing.exercised(bundle, actor)
        except CannotProve as reason:
            return _Tried(frozenset(), None, str(reason))
    return _Tried(rules, labels)


def _case_json(result: CaseResult) -> dict[str, Any]:
    return {
        "case": result.case.name,
        "line": result.case.place.line,
        "passed": result.passed,
        **result.decision.to_json(),
        "see": [
            {"rule": cause.rule.id, "file": cause.rule.place.file, "line": cause.rule.place.line, "why": cause.why}
            for cause in result.causes
        ],
    }


@policy_app.command()
def decide(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Requests, a JSON object a line; `-` is stdin.")],
    policies: Policies = Path("policies"),
    engine: Engines = EngineKind.COMPILED,
    at: At = "",
    as_json: AsJson = False,
    data: Data = Path("data"),
    token: Token = "",
) -> None:
    """Answer each line `{"partner","action","purpose","label"}` with a line `{"outcome","rules","matched","denied"}`."""
    moment = _moment(at)
    snapshot = _bundle(policies).snapshot(moment, engine=engine)
    if str(file) == "-":
        _answer(sys.stdin.buffer, snapshot)
        return
    try:
        with file.open("rb") as stream:
            _answer(stream, snapshot)
    except OSError as problem:
        raise _could_not(f"cannot read `{file}`: {problem.strerror}") from None


@policy_app.command()
def explain(
    partner: Annotated[str, typer.Option("--partner", help="Who asks.")],
    marking: Annotated[str, typer.Option("--marking", help="As written on a portion or a page: `SECRET//REL TO USA, JPN`.")],
    category: Annotated[list[str] | None, typer.Option("--category", help="A category; repeatable.", show_default=False)] = None,
    originator: Annotated[list[str] | None, typer.Option("--originator", help="Default: ourselves.", show_default=False)] = None,
    action: Annotated[str, typer.Option("--action", help="release or display.")] = "release",
    purpose: Annotated[str, typer.Option("--purpose", help="none, or one of the scheme's.")] = "none",
    at: At = "",
    policies: Policies = Path("policies"),
    as_json: AsJson = False,
    data: Data = Path("data"),
    token: Token = "",
) -> None:
    """Say why a marking is released to a partner or not, and what would have to change."""
    moment = _moment(at)
    bundle = _bundle(policies)
    try:
        label = label_of_marking(
            bundle,
            marking,
            portion=marking.startswith("("),
            categories=category or (),
            originators=originator or (bundle.scheme.own,),
            at=moment,
        )
    except Rejected as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(FOUND) from None
    snapshot = bundle.snapshot(moment)
    explanation = snapshot.explain(partner, action, label, purpose)
    # What may be shown is told apart from what goes out: nothing is ever sent by it.
    display = None if action == "display" else snapshot.decide(partner, "display", label, purpose)
    if as_json:
        _say_json(explanation_json(explanation, label) | ({} if display is None else {"display": display.outcome}))
    else:
        lines = explanation_lines(bundle, explanation, partner=partner, action=action)
        if display is not None and display.outcome != explanation.decision.outcome:
            by = f" by {' '.join(display.rules)}" if display.rules else ""
            lines.append(f"display to {partner}: {display.outcome}{by}")
        typer.echo("\n".join(lines))
    if explanation.decision.error is not None:
        raise typer.Exit(FOUND)


def explanation_json(explanation: Explanation, label: Label) -> dict[str, Any]:
    """An explanation for programs: the answer of `decide`, and why."""
    return {
        **explanation.decision.to_json(),
        "label": label.to_json(),
        "referable": list(explanation.referable),
        "why_not": [_miss_json(miss) for miss in explanation.near_misses],
        "why_not_referred": [_miss_json(miss) for miss in explanation.refer_misses],
    }


def explanation_lines(bundle: Bundle, explanation: Explanation, *, partner: str, action: str) -> list[str]:
    """An explanation for people."""
    decision = explanation.decision
    by = f" by {' '.join(decision.rules)}" if decision.rules else ""
    lines = [f"{action} to {partner}: {decision.outcome}{by}"]
    if decision.error is not None:
        return [*lines, f"  {decision.error}"]
    for heading, ids in (("allows", decision.matched), ("forbids", decision.denied), ("may be referred", explanation.referable)):
        lines.extend(f"  {heading}: {id}, {_basis(bundle, id)}" for id in ids)
    if decision.outcome == "release":
        return lines
    near = [miss for miss in explanation.near_misses if _worth_saying(miss, explanation)]
    lines.extend(f"  not by {miss.rule}: {miss.reason}" for miss in near)
    if decision.outcome == "withhold":
        near_refer = [miss for miss in explanation.refer_misses if _worth_saying(miss, explanation)]
        lines.extend(f"  not referred by {miss.rule}: {miss.reason}" for miss in near_refer)
        if not decision.denied and not near and not near_refer:
            lines.append("  no rule is one condition away from it")
    return lines


def _worth_saying(miss: NearMiss, explanation: Explanation) -> bool:
    """A rule for somebody else is no near miss to an officer, nor one that refers already; programs get them all the same."""
    return not miss.condition.startswith("g(") and miss.rule not in explanation.referable


def _basis(bundle: Bundle, id: str) -> str:
    rule = bundle.rule(id)
    return "" if rule is None else f"{rule.basis} ({rule.place.file}:{rule.place.line})"


def _miss_json(miss: NearMiss) -> dict[str, str]:
    return {"rule": miss.rule, "condition": miss.condition, "reason": miss.reason}


def _answer(stream: BinaryIO, snapshot: Any) -> None:
    for line in stream:
        answer = answer_line(snapshot, line.rstrip(b"\n"))
        sys.stdout.write(json.dumps(answer.to_json(), separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _bundle(folder: Path) -> Bundle:
    try:
        return load_bundle(folder)
    except PolicyRejected as refused:
        _say_findings(refused.findings, err=True)
        raise typer.Exit(FOUND) from None
    except Rejected as problem:
        raise _could_not(problem) from None


def _moment(text: str) -> datetime:
    if not text:
        return _now()
    moment = moment_of(text)
    if moment is None:
        raise _could_not(f"`{text}` is neither a day nor a time, expected `2026-11-22` or `2026-11-22T10:00:00Z`")
    return moment


def _now() -> datetime:
    return datetime.now(UTC)


def _could_not(problem: object) -> typer.Exit:
    typer.echo(str(problem), err=True)
    return typer.Exit(COULD_NOT)


def _say_findings(findings: Iterable[Finding], *, err: bool = False) -> None:
    for finding in findings:
        typer.echo(f"{finding} (warning)" if finding.severity is Severity.WARNING else str(finding), err=err)


def _say_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
