"""The image's parts that need no engine: which engine, where the log goes, the bill of materials, the command."""

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from churn.contract import CONTRACT_VERSION
from churn.errors import EngineError, ImageError
from churn.model.champion import Champion
from deploy.image.health import key
from deploy.image.start import log_folder, outlives_the_container
from scripts import image_inventory
from scripts.engine import Engine, find
from scripts.image import check_keys, check_startable, container, labels
from scripts.sbom import bill_of_materials

ROOT = Path(__file__).parent.parent.parent
ROOT_MOUNT = "588 1 0:45 / / ro,relatime - overlay overlay rw,lowerdir=/a"
TMP_MOUNT = "590 588 0:48 / /tmp rw,nosuid - tmpfs tmpfs rw"
VOLUME_MOUNT = "591 588 254:0 /data /predictions rw - ext4 /dev/vda rw"


def test_without_an_engine_all_choices_are_named_with_why_not() -> None:
    with pytest.raises(EngineError) as refused:
        find(problem=lambda name: f"no {name} here")
    for name in ("docker", "podman", "buildah"):
        assert f"{name}: no {name} here" in str(refused.value)
    assert "ENGINE=" in str(refused.value)


def test_the_first_engine_that_answers_is_taken() -> None:
    assert find(problem=lambda name: "no engine" if name == "docker" else None) == Engine("podman")
    assert find(problem=lambda name: None) == Engine("docker")


def test_the_wanted_engine_is_taken_or_refused_and_no_other() -> None:
    assert find("buildah", lambda name: None) == Engine("buildah")
    with pytest.raises(EngineError, match="podman: stopped"):
        find("podman", lambda name: "stopped" if name == "podman" else None)
    with pytest.raises(EngineError, match="expected one of docker, podman, buildah"):
        find("lxc", lambda name: None)


@pytest.mark.parametrize(
    ("mounts", "kept"),
    [
        ([ROOT_MOUNT], False),
        ([ROOT_MOUNT, TMP_MOUNT], False),
        ([ROOT_MOUNT, VOLUME_MOUNT], True),
        ([VOLUME_MOUNT, ROOT_MOUNT], True),
        ([ROOT_MOUNT, VOLUME_MOUNT.replace("ext4", "tmpfs")], False),
        ([ROOT_MOUNT, VOLUME_MOUNT.replace("/predictions", "/predictions-of-others")], False),
    ],
)
def test_a_folder_is_kept_when_it_lies_on_a_volume(mounts: list[str], kept: bool) -> None:
    assert outlives_the_container(Path("/predictions"), mounts) is kept
    assert outlives_the_container(Path("/predictions/deeper"), mounts) is kept


def test_the_log_goes_where_it_is_wanted_else_to_the_volume_else_away() -> None:
    assert log_folder(None, [ROOT_MOUNT, VOLUME_MOUNT]) == (Path("/predictions"), True)
    assert log_folder(None, [ROOT_MOUNT, TMP_MOUNT]) == (Path("/tmp/predictions"), False)
    assert log_folder("/tmp/mine", [ROOT_MOUNT, TMP_MOUNT, VOLUME_MOUNT]) == (Path("/tmp/mine"), False)
    assert log_folder("/predictions/a", [ROOT_MOUNT, VOLUME_MOUNT]) == (Path("/predictions/a"), True)


def test_the_container_has_no_privileges_and_answers_this_machine_only() -> None:
    command = container(Engine("docker"), "churn-service:1", "3001", Path("/log"), {"CHURN_WORKERS": "2"}, 1000)
    said = " ".join(command)
    for flags in ("--read-only --tmpfs /tmp", "--cap-drop ALL", "--security-opt no-new-privileges", "--memory 512m"):
        assert flags in said
    assert "--publish 127.0.0.1:3001:3001 --env PORT=3001" in said
    assert "--env CHURN_WORKERS" in said
    assert "--volume /log:/predictions" in said
    assert "--user 1000" in said
    assert "keep-id" not in said
    assert command[-1] == "churn-service:1"


def test_keys_reach_the_container_as_a_name_or_as_a_file_and_never_as_an_argument() -> None:
    secret = "a-key-of-the-tests-1"
    given = {
        "CHURN_API_KEYS": secret,
        "CHURN_API_KEYS_FILE": "/secret/keys",
        "CHURN_PROTECT_ALL": "1",
        "CHURN_LOG_DIR": "x",
    }
    said = " ".join(container(Engine("docker"), "i", "1", Path("/log"), given, 0))
    assert secret not in said
    assert "--env CHURN_API_KEYS --env CHURN_PROTECT_ALL" in said
    assert "--volume /secret/keys:/run/churn-api-keys:ro --env CHURN_API_KEYS_FILE=/run/churn-api-keys" in said
    assert "CHURN_LOG_DIR" not in said


def test_a_file_of_keys_that_the_containers_user_cannot_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    with pytest.raises(ImageError, match="expected a file with a key on a line"):
        check_keys(file, 0)
    file.touch(0o600)
    with pytest.raises(ImageError, match="chown 4321 "):
        check_keys(file, 4321)
    file.chmod(0o604)
    check_keys(file, 4321)


def test_what_cannot_be_started_is_refused_before_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="buildah builds images but runs no servers"):
        check_startable(Engine("buildah"), {}, 0)
    with pytest.raises(ImageError, match="expected a file with a key on a line"):
        check_startable(Engine("docker"), {"CHURN_API_KEYS_FILE": str(tmp_path / "none")}, 0)
    check_startable(Engine("docker"), {}, 0)


@pytest.mark.parametrize(
    ("keys", "file", "expected"),
    [("", None, ""), (" first , second", None, "first"), ("", "# ours\n\nthird # of the shop\n", "third")],
)
def test_the_health_check_brings_a_key(tmp_path: Path, keys: str, file: str | None, expected: str) -> None:
    environment = {"CHURN_API_KEYS": keys}
    if file is not None:
        (tmp_path / "keys").write_text(file)
        environment["CHURN_API_KEYS_FILE"] = str(tmp_path / "keys")
    assert key(environment) == expected


def test_podman_without_root_keeps_the_callers_id_and_root_leaves_the_images_user() -> None:
    assert "--userns keep-id" in " ".join(container(Engine("podman"), "i", "1", Path("/log"), {}, 1000))
    assert "--user" not in container(Engine("podman"), "i", "1", Path("/log"), {}, 0)


def test_the_bill_of_materials_is_valid_and_names_packages_python_and_model() -> None:
    found = {
        "python": "3.11.9",
        "packages": [{"name": "numpy", "version": "2.4.6", "licence": "BSD-3-Clause"}],
        "debian": [{"name": "libc6", "version": "2.36-9+deb12u10", "architecture": "amd64"}],
    }
    marked = labels(Champion("churn:abc", "f" * 64))
    bill = bill_of_materials("churn-service:xyz", marked, json.dumps(found))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    told = json.loads(bill)
    assert told["metadata"]["component"]["name"] == "churn-service:xyz"
    assert {component.get("purl", component["name"]) for component in told["components"]} == {
        "pkg:generic/python@3.11.9",
        "pkg:pypi/numpy@2.4.6",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64",
        "churn",
    }


def test_the_labels_say_which_contract_and_model_hash() -> None:
    marked = labels(Champion("churn:abc", "f" * 64))
    assert marked["churn.contract"] == CONTRACT_VERSION
    assert marked["churn.model.sha256"] == "f" * 64
    assert marked["org.opencontainers.image.revision"]


def test_the_inventory_sees_what_is_installed() -> None:
    packages = image_inventory.inventory()["packages"]
    assert isinstance(packages, list)
    assert {"bentoml", "numpy"} <= {package["name"].lower() for package in packages}


def test_the_template_installs_by_hash_runs_as_a_number_and_checks_health() -> None:
    template = (ROOT / "deploy" / "image" / "Dockerfile.template").read_text()
    assert "--require-hashes" in template
    assert "\nUSER 1034:1034\n" in template
    assert "\nHEALTHCHECK " in template
