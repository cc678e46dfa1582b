"""The operator's guide does what it says, its tables are those of the code, and its example files name what there is."""

from __future__ import annotations

import ast
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final, get_args

import annotated_types
import pytest
from pydantic.fields import FieldInfo

from service import settings
from service.errors import Broken
from service.settings import Settings
from service.sharing.installation import open_installation
from tests.support.guides import ROOT, agrees, run

GUIDE: Final = ROOT / "deploy" / "README.md"
UNIT: Final = ROOT / "deploy" / "entente.service"
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
ENTENTE: Final = Path(sys.executable).parent / "entente"
_UNITS: Final = {"": 1, "MiB": 1 << 20, "GiB": 1 << 30}


def rows(first_cell: str) -> list[list[str]]:
    """The rows of the tables whose first cell looks like this; cells as they are written."""
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [cells for cells in tables if re.fullmatch(first_cell, cells[0])]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def limits_of(field: FieldInfo) -> str:
    """What the guide is to say of a setting's limits."""
    said = []
    for limit in field.metadata:
        match limit:
            case annotated_types.Gt():
                said.append(f"above {limit.gt}")
            case annotated_types.Ge():
                said.append(f"at least {limit.ge}")
            case annotated_types.Le():
                said.append(f"at most {limit.le}")
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    return ", ".join(said) or " or ".join(f"`{choice}`" for choice in choices)


def test_every_command_prints_what_the_guide_says(path: str, tmp_path: Path) -> None:
    ran = run(
        GUIDE, tmp_path, PATH=path, ENTENTE_DATA=str(tmp_path / "data"), ENTENTE_POLICIES=str(ROOT / "policies"), PORT=str(free_port()),
        BACKUP=str(tmp_path / "backup"),
    )  # fmt: skip
    differing = [
        f"{GUIDE.relative_to(ROOT)}:{block.line}\n{block.commands}--- expected\n{block.prints}--- printed\n{printed}"
        for block, printed in ran
        if block.prints is not None and not agrees(block.prints, printed)
    ]
    assert not differing, "\n\n".join(differing)


def test_the_table_of_settings_is_that_of_the_code() -> None:
    said = {cells[0].strip("`"): (cells[1], cells[2]) for cells in rows(r"`ENTENTE_\w+`")}
    meant = {
        f"ENTENTE_{name.upper()}": ("none" if field.default is None else f"`{field.default}`", limits_of(field))
        for name, field in Settings.model_fields.items()
    }
    assert said == meant


@pytest.mark.parametrize("cells", rows(r"`(?!ENTENTE_)[A-Z_]+`"), ids=lambda cells: str(cells[0]).strip("`"))
def test_a_limit_in_the_guide_is_that_of_the_code(cells: list[str]) -> None:
    number, _, unit = cells[1].partition(" ")
    assert int(number) * _UNITS[unit] == getattr(settings, cells[0].strip("`"))


def set_up(data: Path) -> None:
    open_installation(Settings(data=data)).close()


def test_a_new_data_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    set_up(data)
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in (data, data / "keys")} == {data: 0o700, data / "keys": 0o700}
    assert {stat.S_IMODE(key.stat().st_mode) for key in (data / "keys").iterdir()} == {0o600}
    assert {key.name for key in (data / "keys").iterdir()} == {cells[0].strip("`")[5:] for cells in rows(r"`keys/.+`")}


def test_logs_without_their_key_are_not_signed_on_with_another(tmp_path: Path) -> None:
    set_up(tmp_path)
    (tmp_path / "keys" / "log.key").unlink()
    with pytest.raises(Broken, match=r"the key `.*log\.key` is missing, which signs the logs of this database"):
        set_up(tmp_path)
    assert not (tmp_path / "keys" / "log.key").exists()


@pytest.mark.parametrize("name", ["token.pem", "cursor.key"])
def test_other_keys_are_made_anew_where_they_are_missing(tmp_path: Path, name: str) -> None:
    set_up(tmp_path)
    before = (tmp_path / "keys" / name).read_bytes()
    (tmp_path / "keys" / name).unlink()
    set_up(tmp_path)
    assert (tmp_path / "keys" / name).read_bytes() != before


def test_keys_that_are_there_are_only_read(tmp_path: Path) -> None:
    set_up(tmp_path)
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "keys", *(tmp_path / "keys").iterdir())}
    set_up(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "keys", *(tmp_path / "keys").iterdir())} == times


def test_the_unit_starts_the_service_on_loopback_and_keeps_it_from_all_but_its_folder() -> None:
    lines = [line.partition("=")[::2] for line in UNIT.read_text(encoding="utf-8").splitlines() if "=" in line and not line.startswith("#")]
    options = dict(lines)
    command = options["ExecStart"].split()
    assert command[1] == "serve" and command[command.index("--host") + 1] == "127.0.0.1"
    assert options["StateDirectory"] == "entente entente-mark" and options["StateDirectoryMode"] == "0700"
    assert options["User"] == "entente" and options["ProtectSystem"] == "strict" and options["NoNewPrivileges"] == "yes"
    named = {value.partition("=")[0] for name, value in lines if name == "Environment"}
    assert named <= {f"ENTENTE_{name.upper()}" for name in Settings.model_fields}


def test_the_image_is_made_of_what_is_there_and_does_not_run_as_root() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    last_stage = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER entente$", last_stage, re.MULTILINE)
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split()), sources
    installs = re.findall(r"pip install (.+)", text)
    assert len(installs) == 2 and "--require-hashes" in installs[0] and "--no-deps" in installs[1]
    entry, command = (ast.literal_eval(found) for found in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.+\])$", last_stage, re.MULTILINE))
    help_text = subprocess.run(
        [ENTENTE, *command[:1], "--help"], env={**os.environ, "COLUMNS": "200"}, check=True, capture_output=True, text=True
    ).stdout
    assert entry == ["entente"] and all(word in help_text for word in command if word.startswith("--"))
