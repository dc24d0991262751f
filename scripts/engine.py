"""The container engine of this machine: which one answers, and how it is called."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from churn.errors import EngineError

Name = Literal["docker", "podman", "buildah"]

ASKED: Final[dict[Name, tuple[str, ...]]] = {
    # A client alone answers `docker --version`; the engine has to be asked.
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "podman": ("info", "--format", "{{.Version.Version}}"),
    "buildah": ("info", "--format", "{{.host.kernel}}"),
}
"""Commands that only a working engine answers, in the order in which they are tried."""


@dataclass(frozen=True)
class Engine:
    """An engine that answers."""

    name: Name

    @property
    def runs_containers(self) -> bool:
        """Buildah builds images and starts commands in them, but publishes no ports."""
        return self.name != "buildah"

    def output(self, image: str, program: str) -> str:
        """Run a Python program inside an image, without network; return its output.

        Raises:
            EngineError: the image is not there, or the program failed.
        """
        if self.runs_containers:
            run = ("run", "--rm", "--interactive", "--network", "none", "--entrypoint", "python", image, "-")
            return self._answer(run, program)
        container = self._answer(("from", image)).strip()
        try:
            return self._answer(("run", "--network", "none", container, "--", "python", "-"), program)
        finally:
            self._answer(("rm", container))

    def _answer(self, arguments: Sequence[str], given: str = "") -> str:
        command = (self.name, *arguments)
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EngineError(f"`{' '.join(command)}` failed with status {done.returncode}:\n{done.stderr.strip()}")
        return done.stdout


def why_not(name: Name) -> str | None:
    """Why an engine cannot be used; None when it answers."""
    if shutil.which(name) is None:
        return "not installed"
    done = subprocess.run((name, *ASKED[name]), capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines() or ["no message"]
    return f"installed, but does not answer: {said[-1]}"


def find(wanted: str | None = None, problem: Callable[[Name], str | None] = why_not) -> Engine:
    """The engine that is wanted, else the first that answers.

    Args:
        wanted: the setting `ENGINE`; None or empty tries all.
        problem: why an engine cannot be used.

    Raises:
        EngineError: none answers, or the wanted one does not.
    """
    names = [name for name in ASKED if not wanted or name == wanted]
    if not names:
        raise EngineError(f"ENGINE={wanted!r}: expected one of {', '.join(ASKED)}")
    found: list[str] = []
    for name in names:
        why = problem(name)
        if why is None:
            return Engine(name)
        found.append(f"{name}: {why}")
    raise EngineError(
        f"no container engine ({'; '.join(found)}); install Docker, podman or buildah and start it, "
        "or name one that answers: make image ENGINE=podman"
    )
