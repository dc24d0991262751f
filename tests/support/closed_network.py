"""A command in a network namespace of its own, with every connection it tries written down.

Nothing can leave the namespace, which has a loopback and nothing else. strace (Linux) writes
each `connect` and `sendto`; one to another address, or to a name server, is a report home.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

TOOLS: Final = {"strace": "strace", "unshare": "util-linux", "ip": "iproute2"}
NAME_SERVICE: Final = 53
_ADDRESS: Final = re.compile(
    r"sin6?_port=htons\((?P<port>\d+)\).*?(?:inet_addr\(\"|inet_pton\(AF_INET6, \")(?P<address>[0-9a-f.:]+)"
)
_LOOPBACK: Final = re.compile(r"127\.|::1$|::ffff:127\.|0\.0\.0\.0$|::$")


@dataclass(frozen=True)
class Observation:
    """A command that has run: its exit status, its output, and the outside addresses it turned to."""

    status: int
    output: str
    outside: tuple[str, ...]


def missing_tools() -> list[str]:
    """Debian's packages of the tools that are not here."""
    return sorted(package for tool, package in TOOLS.items() if shutil.which(tool) is None)


def outside_addresses(trace: str) -> tuple[str, ...]:
    """Each `address:port` beyond loopback, and each name server, that a trace shows."""
    found = {
        f"{match['address']}:{match['port']}"
        for match in map(_ADDRESS.search, trace.splitlines())
        if match
        and (int(match["port"]) == NAME_SERVICE or not _LOOPBACK.match(match["address"]))
        and int(match["port"]) != 0
    }
    return tuple(sorted(found))


def observe(script: str, folder: Path, cwd: Path, environment: Mapping[str, str], seconds: float) -> Observation:
    """Run a shell script with an empty environment but PATH, HOME and what is given.

    Args:
        script: for `bash -eu`.
        folder: for its home, its text and the traces; made here.
        cwd: where it runs.
        environment: added to PATH and HOME.
        seconds: after which all that it started is killed.
    """
    home, traces, text = folder / "home", folder / "traces", folder / "script.sh"
    home.mkdir(parents=True)
    traces.mkdir()
    text.write_text(script)
    variables = {"PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)}
    command = [
        *_unshared(),
        *("sh", "-c", 'ip link set lo up && exec "$@"', "sh"),
        *("env", "-i", *(f"{name}={value}" for name, value in (variables | dict(environment)).items())),
        *("strace", "-ff", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto", "-o", str(traces / "of")),
        *("bash", "-eu", str(text)),
    ]
    with (folder / "output.txt").open("wb") as output:
        status = _run(command, cwd, output, seconds)
    trace = "\n".join(path.read_text(errors="replace") for path in sorted(traces.iterdir()))
    return Observation(status, (folder / "output.txt").read_text(errors="replace"), outside_addresses(trace))


def _run(command: Sequence[str], cwd: Path, output: IO[bytes], seconds: float) -> int:
    process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=output)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return -1
    finally:
        process.kill()  # `--kill-child` ends the namespace with it
        process.wait()


def _unshared() -> Sequence[str]:
    owner = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", *owner]
