"""The code that made a model: the git revision, and whether files have changed since."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class CodeVersion:
    """`revision` is `unknown` outside of a git checkout; `dirty`: tracked files differ from it."""

    revision: str
    dirty: bool

    @property
    def name(self) -> str:
        """The whole revision in one word, marked where files differ from it."""
        return f"{self.revision}{'-dirty' if self.dirty else ''}"

    def __str__(self) -> str:
        return f"{self.revision[:12]}{' with local changes' if self.dirty else ''}"


def code_version(folder: Path = ROOT) -> CodeVersion:
    """The version of the code in `folder`."""
    revision = _git(folder, "rev-parse", "HEAD")
    if revision is None:
        return CodeVersion(UNKNOWN, dirty=False)
    return CodeVersion(revision, dirty=bool(_git(folder, "status", "--porcelain", "--untracked-files=no")))


def _git(folder: Path, *arguments: str) -> str | None:
    """The answer of git; None where there is no git, no checkout, or no commit."""
    git = shutil.which("git")
    if git is None:
        return None
    found = subprocess.run(  # noqa: S603  # fixed arguments, the executable found on the path
        [git, "-C", str(folder), *arguments], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else None
