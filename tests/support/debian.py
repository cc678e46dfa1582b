"""Programs that tests need and a fresh machine may lack, from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess

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
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError(f"`{name}` is missing; install Debian's package `{wanted}`, or run the tests as root, where they install it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "--no-install-recommends", "-y", wanted]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_MINUTES_MAX * 60, check=False)
        if done.returncode and command[1] == "install":
            raise RuntimeError(f"`{name}` is missing, and Debian's package `{wanted}` could not be installed: {done.stderr.strip()[-500:]}")
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"Debian's package `{wanted}` does not hold `{name}`")
    return found
