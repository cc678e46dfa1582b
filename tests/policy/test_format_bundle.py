"""`entente policy format`: tidy what is untidy and clear, leave alone what is not, and never change what is said."""

from __future__ import annotations

import json
import random
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from service.cli.policy import policy_app, replace_file
from service.errors import Rejected
from service.policy import Severity, check_files, digest_of, read_bundle, read_directory
from service.policy.format import format_files
from tests.support.mutations import corpus

POLICIES = Path(__file__).parents[2] / "policies"
FILES = {name: content for name, content in read_directory(POLICIES).items() if name != "README.md"}
RULE = "p, PRO-0005, deny, *, IND, *, CONFIDENTIAL, NUCLEAR, *, *, , , Atomic energy act"
MEMBER = "g, JPN, QUAD, 2017-11-12,"
TABLES = tuple(name for name in FILES if name.endswith(".csv"))
# A few cases are as good as hundreds, and are read sooner.
FEW = FILES | {"cases.csv": b"".join(FILES["cases.csv"].splitlines(keepends=True)[:24])}

SETS = ("AIR ARMS-CONTROL BASES DIPLOMATIC MARITIME", "EXDIS LIMDIS ORCON RELIDO", "USA GBR")


def _edited(file: str, old: str, new: str) -> dict[str, bytes]:
    text = FILES[file].decode()
    assert old in text, f"`{old}` is not in {file}"
    return FILES | {file: text.replace(old, new, 1).encode()}


def _after(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**files, **format_files(files).changed}


def test_the_sample_is_in_the_strict_form() -> None:
    formatted = format_files(FILES)
    assert (formatted.changed, formatted.findings) == ({}, ())


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("prohibitions.csv", RULE, RULE.replace(", ", ","), id="no-blank-behind-commas"),
        pytest.param("prohibitions.csv", RULE, RULE.replace(", ", " , "), id="a-blank-before-commas"),
        pytest.param("prohibitions.csv", RULE, RULE.replace(", ", ",   "), id="more-blanks-behind-commas"),
        pytest.param("prohibitions.csv", RULE, f"{RULE}  ", id="trailing-blanks"),
        pytest.param("prohibitions.csv", RULE, f"  {RULE}", id="leading-blanks"),
        pytest.param("prohibitions.csv", RULE, RULE.replace("Atomic energy", "Atomic  energy"), id="two-blanks-in-words"),
        pytest.param("prohibitions.csv", f"{RULE}\n", f"{RULE}\r\n", id="one-line-of-another-system"),
        pytest.param("prohibitions.csv", "# Of partners.", "  # Of partners.  ", id="a-comment-that-does-not-begin-its-line"),
        pytest.param("prohibitions.csv", "\n\n# Of partners.", "\n   \n# Of partners.", id="an-empty-line-with-blanks"),
        pytest.param("communities.csv", MEMBER, f"{MEMBER} ", id="a-blank-in-the-last-empty-cell"),
        pytest.param("communities.csv", MEMBER, MEMBER.replace("2017-11-12,", "2017-11-12 ,"), id="a-blank-before-the-last-comma"),
        pytest.param("agreements.csv", SETS[0], "MARITIME  AIR BASES ARMS-CONTROL DIPLOMATIC", id="categories-in-another-order"),
        pytest.param("agreements.csv", SETS[0], f"AIR {SETS[0]} AIR", id="a-category-twice"),
        pytest.param("agreements.csv", SETS[1], "RELIDO ORCON LIMDIS EXDIS EXDIS", id="caveats-in-another-order"),
        pytest.param("agreements.csv", SETS[2], "GBR USA", id="originators-ourselves-first"),
        pytest.param("cases.csv", "case, at, partner", "case,at ,  partner", id="a-header"),
        pytest.param("cases.csv", "AGR-0002 AGR-0012 AGR-0014", "AGR-0014 AGR-0012 AGR-0002 AGR-0012", id="rules-of-a-case"),
        pytest.param("never.csv", "NEV-0003, PUBLIC", "NEV-0003,PUBLIC", id="never"),
        pytest.param("equivalences.csv", "DEU, STRENG GEHEIM", "DEU,STRENG  GEHEIM", id="equivalences"),
        pytest.param("scheme.toml", 'own = "USA"\n', 'own = "USA"  \r\n', id="scheme"),
        pytest.param("model.conf", "[matchers]\n", "[matchers] \r\n", id="model"),
    ],
)
def test_tidies_what_is_clear(file: str, old: str, new: str) -> None:
    files = _edited(file, old, new)
    formatted = format_files(files)
    assert formatted.changed == {file: FILES[file]}
    assert formatted.findings == ()


@pytest.mark.parametrize("name", sorted(FILES))
def test_ends_each_file_with_one_newline_of_ours(name: str) -> None:
    content = FILES[name]
    for untidy in (
        content[:-1],
        content + b"\n\n",
        content + b"  \n",
        content.replace(b"\n", b"\r\n"),
        content.replace(b"\n", b"  \r\n")[:-2],
    ):
        assert format_files(FILES | {name: untidy}).changed == {name: content}


@pytest.mark.parametrize(
    ("file", "old", "new", "code"),
    [
        pytest.param("prohibitions.csv", RULE, RULE.replace("deny", "Deny"), "effect", id="case"),
        pytest.param("prohibitions.csv", RULE, RULE.replace("NUCLEAR", "NUCLAER"), "unknown-category", id="an-unknown-word"),
        pytest.param(
            "prohibitions.csv", RULE, RULE.replace("NUCLEAR", "NUCLEAR NUCLAER"), "unknown-category", id="an-unknown-word-in-a-set"
        ),
        pytest.param("prohibitions.csv", RULE, RULE.replace("IND", "I\u200bND"), "invisible-character", id="an-invisible-character"),
        pytest.param("prohibitions.csv", RULE, RULE.replace(", IND", ",\u00a0IND"), "invisible-character", id="a-space-that-is-none"),
        pytest.param("prohibitions.csv", RULE, RULE.replace(", ", "\t"), "invisible-character", id="tabs"),
        pytest.param("prohibitions.csv", f"{RULE}\n", f"{RULE}\r", "invisible-character", id="a-carriage-return-alone"),
        pytest.param("prohibitions.csv", RULE, f"#{RULE}", "comment", id="a-row-behind-a-sign"),
        pytest.param("prohibitions.csv", RULE, f"{RULE} # 1954", "character", id="a-comment-behind-a-row"),
        pytest.param("prohibitions.csv", RULE, RULE.replace(", ", "; "), "character", id="semicolons"),
        pytest.param("prohibitions.csv", RULE, RULE.replace("NUCLEAR, *", "NUCLEAR"), "columns", id="a-cell-too-few"),
        pytest.param("prohibitions.csv", RULE, RULE.replace("NUCLEAR", "* NUCLEAR"), "unknown-category", id="all-and-one"),
        pytest.param("prohibitions.csv", RULE, RULE.replace("Atomic", "Ato\u0301mic"), "normalisation", id="decomposed"),
        pytest.param("prohibitions.csv", "# INVENTED", "\ufeff# INVENTED", "byte-order-mark", id="a-byte-order-mark"),
        pytest.param("prohibitions.csv", RULE, '"' + RULE.replace(", ", '", "') + '"', "character", id="quotes"),
        pytest.param("scheme.toml", 'own = "USA"', 'own = "USA', "toml", id="a-scheme-that-is-none"),
        pytest.param("model.conf", "[matchers]", "[matcher]", "section", id="a-model-that-is-none"),
        pytest.param("cases.csv", "case, at", "Case, at", "header", id="a-header-in-another-case"),
    ],
)
def test_never_guesses_and_leaves_such_a_file_as_it_was(file: str, old: str, new: str, code: str) -> None:
    files = _edited(file, old, new)
    # Untidy besides: a file with a mistake in it is not written at all, the others are.
    files[file] = files[file].replace(b"\n", b" \n")
    other = "partners.csv"
    files[other] = files[other].replace(b"\n", b" \r\n")
    formatted = format_files(files)
    assert formatted.changed == {other: FILES[other]}
    assert (file, code) in {(finding.file, finding.code) for finding in formatted.errors}


def test_a_file_that_is_no_text_is_left_alone() -> None:
    for content in (FILES["prohibitions.csv"].decode().encode("utf-16"), b"\xff\xfe\n", b""):
        formatted = format_files(FILES | {"prohibitions.csv": content})
        assert "prohibitions.csv" not in formatted.changed
        assert "prohibitions.csv" in {finding.file for finding in formatted.errors}


def _untidy(text: str, draw: random.Random) -> str:
    """The same said untidily, at some lines."""
    lines = []
    for number, line in enumerate(text.split("\n")[:-1]):
        if number and line and not line.startswith("#") and draw.random() < 0.5:
            cells = line.split(", ")
            for index, cell in enumerate(cells):
                words = cell.split(" ")
                if len(words) > 1 and cell.isupper() and index not in (1, 6) and cells[0] in ("p",):
                    words += draw.sample(words, draw.randrange(len(words)))
                    draw.shuffle(words)
                cells[index] = (" " * draw.randint(1, 2)).join(words)
            line = "".join(cell + (" " * draw.randrange(3) + "," + " " * draw.randrange(3)) for cell in cells).rstrip(" ").removesuffix(",")
            if text.startswith("#") and line.count(",") < ", ".join(cells).count(","):
                line += ","
        lines.append(" " * draw.randrange(2) + line + " " * draw.randrange(3) if number else line)
    return "\r\n".join(lines) + draw.choice(("", "\n", "\r\n", "\n\n \n"))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), name=st.sampled_from(TABLES))
def test_what_is_untidied_is_tidied_back_to_the_byte(seed: int, name: str) -> None:
    untidy = _untidy(FEW[name].decode(), random.Random(seed)).encode()
    assert _after(FEW | {name: untidy}) == FEW


def test_is_done_at_once_and_changes_nothing_that_is_said_whatever_it_is_given() -> None:
    changed = 0
    for mutation in random.Random(7).sample(corpus(FEW, seed=7), 120):
        files = mutation.of(FEW)
        formatted = format_files(files)
        found = check_files(files)
        if not formatted.changed:
            assert {finding.file for finding in formatted.errors} <= {finding.file for finding in found}, mutation
            continue
        after = {**files, **formatted.changed}
        assert format_files(after).changed == {}, mutation
        refused = {finding.file for finding in check_files(after) if finding.severity is Severity.ERROR}
        assert refused.isdisjoint(formatted.changed), mutation
        assert refused <= {finding.file for finding in found}, mutation
        if not any(finding.severity is Severity.ERROR for finding in found):
            before, now = read_bundle(files), read_bundle(after)
            assert [case.label for case in before.cases] == [case.label for case in now.cases]
            assert [(rule.id, rule.effect, rule.period, set(rule.categories.split())) for rule in before.rules] == [
                (rule.id, rule.effect, rule.period, set(rule.categories.split())) for rule in now.rules
            ]
        changed += bool(formatted.changed)
    assert changed > 2


# The command.

RUNNER = CliRunner()


def _run(*arguments: str) -> Result:
    return RUNNER.invoke(policy_app, ["format", *arguments])


def _write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_the_files_that_change_and_no_others(tmp_path: Path) -> None:
    untidy = _edited("agreements.csv", "JPN, *", "JPN,  *")
    folder = _write(tmp_path, untidy)
    untouched = (folder / "partners.csv").stat()
    (folder / "agreements.csv").chmod(0o640)
    result = _run(str(folder))
    assert (result.exit_code, result.stdout) == (0, f"{folder / 'agreements.csv'}: formatted\n")
    assert _read(folder) == FILES
    assert stat.S_IMODE((folder / "agreements.csv").stat().st_mode) == 0o640
    assert (folder / "partners.csv").stat().st_ino == untouched.st_ino
    again = _run("--policies", str(folder), "--data", "x", "--token", "y")
    assert (again.exit_code, again.stdout) == (0, f"{folder}: nothing to format\n")


def test_check_writes_nothing_and_says_what_it_would(tmp_path: Path) -> None:
    untidy = _edited("agreements.csv", "JPN, *", "JPN,  *")
    folder = _write(tmp_path, untidy)
    result = _run(str(folder), "--check")
    assert (result.exit_code, result.stdout) == (1, f"{folder / 'agreements.csv'}: would be formatted\n")
    assert _read(folder) == untidy
    as_json = json.loads(_run(str(folder), "--check", "--json").stdout)
    assert as_json == {"changed": ["agreements.csv"], "written": False, "findings": []}
    assert json.loads(_run(str(folder), "--json").stdout) == {"changed": ["agreements.csv"], "written": True, "findings": []}
    assert _run(str(folder), "--check").exit_code == 0
    assert digest_of(_read(folder)) == digest_of(FILES)


def test_a_mistake_is_said_is_exit_1_and_stays(tmp_path: Path) -> None:
    mistaken = _edited("agreements.csv", "JPN, *, SECRET, CYBER, none", "JPN ,*,  SECRET,  CYBR,  none")
    folder = _write(tmp_path, mistaken)
    result = _run(str(folder))
    assert result.exit_code == 1
    # At its place in the file as it is, not in the tidy one that was not written.
    line = next(number for number, text in enumerate(mistaken["agreements.csv"].decode().split("\n"), 1) if "CYBR" in text)
    column = mistaken["agreements.csv"].decode().split("\n")[line - 1].index("CYBR") + 1
    found = f"agreements.csv:{line}:{column}: unknown-category: unknown category `CYBR`, did you mean `CYBER`?"
    assert found in result.stdout.splitlines()
    assert _read(folder) == mistaken


def test_a_folder_that_is_not_there_is_exit_2(tmp_path: Path) -> None:
    assert _run(str(tmp_path / "nowhere")).exit_code == 2


def test_a_link_stays_one(tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    kept.write_bytes(b"old\n")
    link = tmp_path / "link.csv"
    link.symlink_to(kept)
    replace_file(link, old=b"old\n", new=b"new\n")
    assert link.is_symlink()
    assert kept.read_bytes() == b"new\n"


def test_what_someone_else_wrote_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "agreements.csv"
    path.write_bytes(b"theirs\n")
    with pytest.raises(Rejected, match="changed by someone else meanwhile"):
        replace_file(path, old=b"read before\n", new=b"ours\n")
    assert _read(tmp_path) == {"agreements.csv": b"theirs\n"}
    with pytest.raises(Rejected, match="cannot write"):
        replace_file(tmp_path / "nowhere" / "a.csv", old=b"", new=b"")
