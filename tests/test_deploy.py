"""What an operator copies: the Kubernetes manifests against the schemas, and against the image and the service."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from churn.service_settings import SETTINGS
from scripts.image import USER

DEPLOY = Path(__file__).parent.parent / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
RUNBOOK = DEPLOY.parent / "docs" / "alerts.md"
OVERLAYS = sorted(path.parent for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def kustomization(folder: Path) -> Manifest:
    (only,) = documents(folder / "kustomization.yaml")
    return only


def base() -> list[Manifest]:
    folder = KUBERNETES / "base"
    return [document for name in kustomization(folder)["resources"] for document in documents(folder / name)]


def named(kind: str, name: str) -> Manifest:
    (only,) = [found for found in base() if (found["kind"], found["metadata"]["name"]) == (kind, name)]
    return only


def merged(onto: Any, patch: Any) -> Any:
    """A strategic merge as far as the overlays use it: mappings, and lists of things with a name."""
    if isinstance(onto, dict) and isinstance(patch, dict):
        return onto | {key: merged(onto[key], value) if key in onto else value for key, value in patch.items()}
    if isinstance(onto, list) and isinstance(patch, list) and all("name" in item for item in [*onto, *patch]):
        both = {item["name"]: item for item in onto}
        for item in patch:
            both[item["name"]] = merged(both.get(item["name"], {}), item)
        return list(both.values())
    return patch


def overlaid(overlay: Path) -> list[Manifest]:
    made = {(found["kind"], found["metadata"]["name"]): found for found in base()}
    for patch in kustomization(overlay)["patches"]:
        for document in documents(overlay / patch["path"]):
            key = (document["kind"], document["metadata"]["name"])
            made[key] = merged(made[key], document)
    return list(made.values())


def of_kubernetes(manifests: list[Manifest]) -> list[Manifest]:
    return [found for found in manifests if found["kind"] != "ServiceMonitor"]


def pod_specs() -> list[Manifest]:
    deployment = named("Deployment", "churn-service")["spec"]["template"]["spec"]
    job = named("CronJob", "churn-weekly-report")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return [deployment, job]


def containers() -> list[Manifest]:
    return [found for spec in pod_specs() for found in [*spec["containers"], *spec.get("initContainers", [])]]


def test_every_file_of_the_base_is_used() -> None:
    listed = set(kustomization(KUBERNETES / "base")["resources"])
    assert listed == {path.name for path in (KUBERNETES / "base").glob("*.yaml")} - {"kustomization.yaml"}


@pytest.mark.parametrize(
    "manifest", of_kubernetes(base()), ids=lambda found: f"{found['kind']}-{found['metadata']['name']}"
)
def test_every_manifest_of_the_base_fits_the_schema(manifest: Manifest) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_there_are_two_overlays() -> None:
    assert [overlay.name for overlay in OVERLAYS] == ["production", "staging"]


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_every_overlay_fits_the_schema_and_patches_what_exists(overlay: Path) -> None:
    assert kustomization(overlay)["resources"] == ["../../base"]
    for manifest in of_kubernetes(overlaid(overlay)):
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_an_overlay_names_every_image_with_a_tag_that_is_not_latest(overlay: Path) -> None:
    images = {image["name"]: image["newTag"] for image in kustomization(overlay)["images"]}
    assert set(images) == {found["image"] for found in containers()}
    assert "latest" not in images.values()


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_the_overlay_keeps_the_service_as_locked_up_as_the_base(overlay: Path) -> None:
    (deployment,) = [found for found in overlaid(overlay) if found["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {variable["name"] for variable in container["env"]} >= {"PORT", "CHURN_LOG_DIR"}
    assert container["resources"]["limits"] == {"memory": "512Mi"}


@pytest.mark.parametrize("container", containers(), ids=lambda found: str(found["name"]))
def test_no_container_has_privileges_and_each_has_bounds(container: Manifest) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("spec", pod_specs(), ids=["service", "report"])
def test_every_pod_runs_as_the_images_user_without_a_token(spec: Manifest) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == USER
    assert spec["securityContext"]["fsGroup"] == USER
    assert spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("spec", pod_specs(), ids=["service", "report"])
def test_every_mounted_volume_is_declared_and_every_claim_exists(spec: Manifest) -> None:
    declared = {volume["name"]: volume for volume in spec["volumes"]}
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= set(declared)
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in declared.values()
        if "persistentVolumeClaim" in volume
    }
    assert claims <= {found["metadata"]["name"] for found in base() if found["kind"] == "PersistentVolumeClaim"}


def test_every_setting_in_the_deployment_is_one_of_the_service() -> None:
    known = {setting.name for setting in SETTINGS} | {"PORT"}
    for manifests in [base(), *map(overlaid, OVERLAYS)]:
        (deployment,) = [found for found in manifests if found["kind"] == "Deployment"]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert {variable["name"] for variable in container["env"]} <= known
        assert all(isinstance(variable["value"], str) for variable in container["env"])


def test_everything_that_selects_selects_the_service() -> None:
    pods = {"app.kubernetes.io/component": "api"}
    deployment = named("Deployment", "churn-service")
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= pods.items()
    assert deployment["spec"]["selector"]["matchLabels"] == pods
    assert named("Service", "churn-service")["spec"]["selector"] == pods
    assert named("PodDisruptionBudget", "churn-service")["spec"]["selector"]["matchLabels"] == pods
    assert named("NetworkPolicy", "churn-service")["spec"]["podSelector"]["matchLabels"] == pods
    assert named("ServiceMonitor", "churn-service")["spec"]["selector"]["matchLabels"] == pods
    assert named("Service", "churn-service")["metadata"]["labels"] == pods


def test_ports_are_named_alike_from_the_pod_to_the_monitor() -> None:
    (container,) = pod_specs()[0]["containers"]
    (port,) = container["ports"]
    assert (port["name"], port["containerPort"]) == ("http", 3000)
    assert {"name": "PORT", "value": str(port["containerPort"])} in container["env"]
    (exposed,) = named("Service", "churn-service")["spec"]["ports"]
    assert exposed["targetPort"] == port["name"]
    (endpoint,) = named("ServiceMonitor", "churn-service")["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == (exposed["name"], "/metrics")


def test_a_probe_asks_a_path_that_the_service_answers() -> None:
    (container,) = pod_specs()[0]["containers"]
    asked = {kind: container[kind]["httpGet"]["path"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert asked == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}


def test_the_autoscaler_goes_by_cpu_and_by_requests_in_flight() -> None:
    autoscaler = named("HorizontalPodAutoscaler", "churn-service")["spec"]
    assert "replicas" not in named("Deployment", "churn-service")["spec"]
    by_kind = {metric["type"]: metric for metric in autoscaler["metrics"]}
    assert by_kind["Resource"]["resource"]["name"] == "cpu"
    assert by_kind["Pods"]["pods"]["metric"]["name"] == "churn_requests_in_flight"
    assert autoscaler["scaleTargetRef"]["name"] == "churn-service"


def test_replicas_can_share_the_log_and_the_report_only_reads_it() -> None:
    assert named("PersistentVolumeClaim", "churn-predictions")["spec"]["accessModes"] == ["ReadWriteMany"]
    (report,) = pod_specs()[1]["containers"]
    (mount,) = [mount for mount in report["volumeMounts"] if mount["name"] == "predictions"]
    assert mount["readOnly"] is True


def alerts() -> list[Manifest]:
    (rules,) = documents(DEPLOY / "prometheus" / "rules.yml")
    return [rule for group in rules["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("alert", alerts(), ids=lambda found: str(found["alert"]))
def test_every_alert_says_what_is_wrong_what_to_do_and_where_to_read_on(alert: Manifest) -> None:
    name, severity = alert["alert"], alert["labels"]["severity"]
    assert alert["annotations"].keys() == {"summary", "action", "runbook"}
    assert alert["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"
    page = RUNBOOK.read_text()
    assert f"\n### {name}\n" in page
    assert f"| [{name}](#{name.lower()}) | {severity} | " in page


def test_the_page_of_alerts_describes_no_other() -> None:
    described = re.findall(r"^### (\w+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    assert described == [alert["alert"] for alert in alerts()]


@pytest.mark.parametrize("alert", alerts(), ids=lambda found: str(found["alert"]))
def test_every_alert_has_a_unit_test_that_it_fires_and_one_that_it_does_not(alert: Manifest) -> None:
    tested = [
        case
        for path in (DEPLOY.parent / "tests" / "system").glob("*rules_test.yml")
        for document in documents(path)
        for test in document["tests"]
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == alert["alert"]
    ]
    assert {bool(case["exp_alerts"]) for case in tested} == {True, False}
