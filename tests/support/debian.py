"""Programs and sources that tests need and a fresh machine may lack, from Debian's packages."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_MINUTES_MAX = 5


def program(name: str, *, package: str | None = None) -> str:
    """The path of a program; its Debian package is installed first where it is missing and we are root.

    Args:
        package: the package that holds it, where it has another name.

    Raises:
        RuntimeError: it is missing and cannot be installed here. Tests that need it fail: a promise is not held by not looking.
    """
    found = shutil.which(name)
    if found is not None:
        return found
    wanted = package or name
    _install([wanted], f"`{name}` is missing")
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"Debian's package `{wanted}` does not hold `{name}`")
    return found


def packages(versions: Mapping[str, str]) -> dict[str, str]:
    """The installed versions of Debian packages, each of which is installed first where it is missing and we are root.

    Args:
        versions: by package, what its version must begin with.

    Raises:
        RuntimeError: one is missing and cannot be installed here, or is of another version.
    """
    missing = [name for name in versions if _version(name) is None]
    if missing:
        _install(missing, f"{', '.join(f'`{name}`' for name in missing)} missing")
    installed: dict[str, str] = {}
    for name, wanted in versions.items():
        installed[name] = _version(name) or "none"
        if not installed[name].startswith(wanted):
            raise RuntimeError(f"Debian's package `{name}` is of version `{installed[name]}`, expected `{wanted}`")
    return installed


def _version(package: str) -> str | None:
    asked = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", package]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    status, _, version = done.stdout.partition(" ")
    return version if done.returncode == 0 and status == "installed" else None


def _install(wanted: Sequence[str], lack: str) -> None:
    named = " ".join(wanted)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError(f"{lack}; install Debian's `{named}`, or run the tests as root, where they install it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Tests run side by side, and two of them cannot install at once.
    with (Path(tempfile.gettempdir()) / "entente-tests-install.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "--no-install-recommends", "-y", *wanted]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_MINUTES_MAX * 60, check=False)
            if done.returncode and command[1] == "install":
                raise RuntimeError(f"{lack}, and Debian's `{named}` could not be installed: {done.stderr.strip()[-500:]}")
