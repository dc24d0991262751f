"""What is loaded is what was reviewed, and nothing else."""

import shutil
import sys

import pytest

from churn.errors import KernelBuildError, NativeUnavailableError
from churn.model import native
from churn.model.native import expected_sha256, library_name
from churn.model.native.build import TARGETS, build, check
from tests.support import kernel


@pytest.fixture
def folder(tmp_path):
    for path in kernel.folder().iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_the_pinned_compiler_gives_the_reviewed_bytes(tmp_path) -> None:
    built = build(tmp_path / "elsewhere")
    assert built == expected_sha256()
    check(built)


def test_a_build_that_is_not_the_reviewed_one_is_refused() -> None:
    other = expected_sha256() | {library_name(): "0" * 64}
    with pytest.raises(KernelBuildError, match=f"{library_name()}: not the reviewed bytes"):
        check(other)


def test_a_library_with_one_byte_changed_is_not_loaded(folder) -> None:
    path = folder / library_name()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(NativeUnavailableError, match="is not the reviewed one"):
        native.load(folder)


def test_a_missing_library_says_how_to_make_it(tmp_path) -> None:
    with pytest.raises(NativeUnavailableError, match=r"python -m churn\.model\.native\.build"):
        native.load(tmp_path)


def test_a_machine_that_no_library_is_made_for_is_named(monkeypatch, folder) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(NativeUnavailableError, match=f"no kernel is made for {sys.platform} on riscv64"):
        native.load(folder)


def test_libraries_are_made_for_the_two_kinds_of_server() -> None:
    assert set(TARGETS) == set(expected_sha256()) == {"treeshap-linux-x86_64.so", "treeshap-linux-aarch64.so"}


def test_a_library_needs_no_other_library(folder) -> None:
    """So that it runs with any C library, and reads nothing from the system it was built on."""
    for path in folder.iterdir():
        content = path.read_bytes()
        assert b"GLIBC" not in content
        assert b"libc.so" not in content
        assert b"memset" not in content
