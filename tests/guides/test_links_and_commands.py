"""No guide sends its reader to what is not there: files, headings, commands, options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main

from service.cli import app
from tests.support.guides import ROOT, readmes

READMES: Final = readmes()
COMMANDS: Final[Any] = typer.main.get_command(app)
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_FENCED: Final = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`([^`\n]+)`")
_WORD: Final = r"""(?:'[^'\n]*'|"[^"\n]*"|[^\s|;&<>()`'"]+)"""
_COMMAND: Final = re.compile(rf"""(?:^|[\s($"/=])entente((?:[ \t]+{_WORD})*)[ \t]*(?:$|[|;&<>)"`'])""", re.MULTILINE)


def name_of(readme: Path) -> str:
    return str(readme.relative_to(ROOT))


def code_in(text: str) -> list[str]:
    """What is written as code: fenced blocks, lines that go on joined, and what stands between backticks."""
    return [block.replace("\\\n", " ") for block in _FENCED.findall(text)] + _INLINE.findall(_FENCED.sub("", text))


def commands_in(code: str) -> list[list[str]]:
    """The words behind each `entente`, to the end of its command."""
    # What a token is asked for stands in the middle of another command; it is looked at by itself.
    inner = [found for quoted in re.findall(r"\$\(([^()]*)\)", code) for found in commands_in(quoted)]
    outer = re.sub(r"\"?\$\([^()]*\)\"?", "TOKEN", code)
    return inner + [shlex.split(words) for words in _COMMAND.findall(outer)]


def anchors_of(markdown: str) -> set[str]:
    """The anchors of headings, as they are commonly made: lower case, no punctuation, dashes for spaces."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def unknown_in(words: list[str]) -> str | None:
    """The first word of a command line that `--help` does not know; None if it knows all."""
    command = COMMANDS
    rest = list(words)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return rest[0]
        command = command.commands[rest.pop(0)]
    known = {"--help"} | {option for parameter in command.params if not getattr(parameter, "hidden", False) for option in parameter.opts}
    return next((word for word in rest if word.startswith("--") and word.partition("=")[0] not in known), None)


def test_the_guides_are_found() -> None:
    assert {"README.md", "openapi/README.md", "deploy/README.md", "policies/README.md", "service/README.md"} <= set(map(name_of, READMES))


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_every_link_leads_somewhere(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    dead = []
    for link in _LINK.findall(_FENCED.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (readme.parent / path).resolve() if path else readme
        there = target.exists() and target.is_relative_to(ROOT)
        if not there or (anchor and anchor not in anchors_of(target.read_text(encoding="utf-8"))):
            dead.append(link)
    assert not dead


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_every_command_and_option_is_one_that_help_knows(readme: Path) -> None:
    commands = [words for code in code_in(readme.read_text(encoding="utf-8")) for words in commands_in(code)]
    unknown = [(words, found) for words in commands if (found := unknown_in(words)) is not None]
    assert not unknown


@pytest.mark.parametrize(
    ("code", "found"),
    [
        pytest.param("entente", None, id="the-name-alone"),
        pytest.param("entente items import FILE.jsonl --mapping frus", None, id="a-command"),
        pytest.param("T=$(entente token X --data D) entente log verify", None, id="two-in-a-line"),
        pytest.param('entente policy publish --token "$(entente tokens X)"', "tokens", id="unknown-inside"),
        pytest.param("entente policy endorse DIGEST", "endorse", id="unknown-command"),
        pytest.param("x | entente policy decide - --engin stock", "--engin", id="unknown-option"),
        pytest.param(".venv/bin/entente items import A --frobnicate | tail", "--frobnicate", id="by-its-path"),
    ],
)
def test_an_unknown_word_is_noticed(code: str, found: str | None) -> None:
    commands = commands_in(code)
    assert commands
    assert next((word for words in commands if (word := unknown_in(words)) is not None), None) == found
