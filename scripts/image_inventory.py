"""Runs inside the image: what is installed there, as JSON. Standard library only."""

import json
import platform
import shutil
import subprocess
from importlib.metadata import Distribution, distributions

DEBIAN = "${Package}\t${Version}\t${Architecture}\n"


def python_package(found: Distribution) -> dict[str, str]:
    """Its name and version, and its licence as far as the package states one in a line."""
    said = found.metadata.json.get("license_expression") or found.metadata.json.get("license") or ""
    licence = str(said).strip()
    return {"name": found.metadata["Name"], "version": found.version, "licence": licence if "\n" not in licence else ""}


def debian_packages() -> list[dict[str, str]]:
    if shutil.which("dpkg-query") is None:
        return []
    listed = subprocess.run(("dpkg-query", "-W", "-f", DEBIAN), capture_output=True, text=True, check=True)
    rows = (line.split("\t") for line in listed.stdout.splitlines())
    return [{"name": name, "version": version, "architecture": arch} for name, version, arch in rows]


def inventory() -> dict[str, object]:
    packages = sorted((python_package(found) for found in distributions()), key=lambda row: row["name"].lower())
    return {"python": platform.python_version(), "packages": packages, "debian": debian_packages()}


if __name__ == "__main__":
    print(json.dumps(inventory()))
