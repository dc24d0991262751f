"""Compile the kernel: `python -m churn.model.native.build`. Needs the package `ziglang`, and no system compiler.

The same compiler gives the same bytes on every machine, so that their sha256 can be reviewed
and versioned: `libraries.json`. `--update` writes it, after a change of the source or of the
compiler.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from churn.command import run, say
from churn.errors import KernelBuildError
from churn.files import replace_file
from churn.model.native import FOLDER, LIBRARIES, expected_sha256

SOURCE: Final = FOLDER / "treeshap.c"
# The oldest processor of each kind: newer instructions gain little here, and one library fits all machines.
TARGETS: Final = {
    "treeshap-linux-x86_64.so": ("-target", "x86_64-linux", "-mcpu=x86_64"),
    "treeshap-linux-aarch64.so": ("-target", "aarch64-linux", "-mcpu=generic"),
}
# No fused multiply-add: the same numbers on every processor. No C library: any Linux will do.
FLAGS: Final = ("-O3", "-g0", "-s", "-ffp-contract=off", "-fno-builtin", "-nostdlib", "-shared", "-fPIC")
STRICT: Final = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden")


def compiler() -> str:
    """Name and version of the compiler."""
    try:
        return f"ziglang {version('ziglang')}"
    except PackageNotFoundError as error:
        raise KernelBuildError(
            "the package `ziglang` is not installed; the group `native` of pyproject.toml has it"
        ) from error


def build(folder: Path) -> dict[str, str]:
    """Compile for every machine it is made for.

    Returns:
        sha256 of each library by its name.
    """
    found = compiler()
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in TARGETS.items():
        _compile([*target, *FLAGS, *STRICT, str(SOURCE), "-o", str(folder / name)], found)
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TARGETS}


def _compile(arguments: list[str], found: str) -> None:
    with tempfile.TemporaryDirectory(prefix="churn-native-") as cache:
        done = subprocess.run(  # noqa: S603  # our own arguments, the pinned compiler
            [sys.executable, "-m", "ziglang", "cc", *arguments],
            env=os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise KernelBuildError(f"{found} could not compile {SOURCE.name}: {done.stderr.strip()}")


def check(built: dict[str, str]) -> None:
    """The libraries are the reviewed ones.

    Raises:
        KernelBuildError: source or compiler changed and `libraries.json` did not.
    """
    expected = expected_sha256()
    other = sorted(name for name in built.keys() | expected.keys() if built.get(name) != expected.get(name))
    if other:
        reviewed = json.loads(LIBRARIES.read_text())["compiler"]
        raise KernelBuildError(
            f"{', '.join(other)}: not the reviewed bytes (built by {compiler()}, reviewed with {reviewed}); "
            "install the reviewed compiler, or after a change of treeshap.c "
            "run `python -m churn.model.native.build --update`"
        )


def update(built: dict[str, str]) -> None:
    """Take what was built as reviewed."""
    replace_file(LIBRARIES, (json.dumps({"compiler": compiler(), "sha256": built}, indent=2) + "\n").encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write libraries.json instead of checking against it")
    asked = parser.parse_args()
    built = build(FOLDER)
    if asked.update:
        update(built)
    check(built)
    for name, digest in built.items():
        say(f"{name} sha256 {digest[:12]}…")


if __name__ == "__main__":
    run(main)
