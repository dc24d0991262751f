"""What an operator copies: the Kubernetes manifests against the schemas, and against the image and the service."""

import copy
import functools
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from monitoring.alerts import channel_settings, report_metrics
from monitoring.report import requested
from monitoring.weekly.weekly_job import CHANNEL_STATUS, PAGE_STATUS
from scripts.image import USER
from serving import metrics as service_metrics
from serving.settings import SETTINGS
from tests.support.sources import packages, reached

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
PAGE = ROOT / "docs" / "deploy.md"
RUNBOOK = DEPLOY.parent / "docs" / "runbook.md"
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


def overlaid(overlay: Path, tags: dict[str, str] | None = None) -> list[Manifest]:
    """What `kustomize build` makes of it, as far as the files use kustomize; `tags` as by its `edit set image`."""
    made = {(found["kind"], found["metadata"]["name"]): copy.deepcopy(found) for found in base()}
    for patch in kustomization(overlay)["patches"]:
        for document in documents(overlay / patch["path"]):
            key = (document["kind"], document["metadata"]["name"])
            made[key] = merged(made[key], document)
    images = {image["name"]: f"{image['newName']}:{image['newTag']}" for image in kustomization(overlay)["images"]}
    for container in all_containers(list(made.values())):
        container["image"] = (images | (tags or {}))[container["image"]]
    for manifest in made.values():
        manifest["metadata"]["namespace"] = kustomization(overlay)["namespace"]
    return list(made.values())


def all_containers(manifests: list[Manifest]) -> list[Manifest]:
    by_kind = {
        "Deployment": ("spec", "template", "spec"),
        "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    }
    found: list[Manifest] = []
    for manifest in manifests:
        if manifest["kind"] in by_kind:
            spec = functools.reduce(lambda inner, key: inner[key], by_kind[manifest["kind"]], manifest)
            found += [*spec["containers"], *spec.get("initContainers", [])]
    return found


def of_kubernetes(manifests: list[Manifest]) -> list[Manifest]:
    return [found for found in manifests if found["kind"] != "ServiceMonitor"]


def pod_specs() -> list[Manifest]:
    deployment = named("Deployment", "churn-service")["spec"]["template"]["spec"]
    job = named("CronJob", "churn-weekly-report")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    erase = named("CronJob", "churn-erase")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return [deployment, job, erase]


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
def test_setting_an_image_reaches_every_container_of_it(overlay: Path) -> None:
    tags = {"churn-service": "registry.example/churn-service:one", "churn-report": "registry.example/churn-report:two"}
    used = [(found["name"], found["image"]) for found in all_containers(overlaid(overlay, tags))]
    assert sorted(used) == [
        ("churn-service", tags["churn-service"]),
        ("erase", tags["churn-service"]),
        ("model", tags["churn-service"]),
        ("report", tags["churn-report"]),
    ]
    # Until then nothing can be pulled, so nothing is replaced by accident.
    assert {found["image"].split(":")[1] for found in all_containers(overlaid(overlay))} == {"replace-me"}


def test_the_overlays_live_in_namespaces_of_their_own() -> None:
    spaces = [{found["metadata"]["namespace"] for found in overlaid(overlay)} for overlay in OVERLAYS]
    assert spaces == [{"churn"}, {"churn-staging"}]


def test_the_report_is_told_whom_to_tell_by_settings_that_it_has() -> None:
    (report,) = pod_specs()[1]["containers"]
    (source,) = report["envFrom"]
    generated = {
        made["name"]: made["literals"]
        for overlay in OVERLAYS
        for made in kustomization(overlay).get("configMapGenerator", [])
    }
    # An overlay may set nothing.
    assert source["configMapRef"] == {"name": "churn-report-settings", "optional": True}
    names = {literal.split("=")[0] for literal in generated["churn-report-settings"]}
    assert names <= {setting.name for setting in channel_settings.SETTINGS}
    (secret,) = [volume["secret"] for volume in pod_specs()[1]["volumes"] if "secret" in volume]
    assert secret["optional"] is True


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


@pytest.mark.parametrize("spec", pod_specs(), ids=["service", "report", "erase"])
def test_every_pod_runs_as_the_images_user_without_a_token(spec: Manifest) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == USER
    assert spec["securityContext"]["fsGroup"] == USER
    assert spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("spec", pod_specs(), ids=["service", "report", "erase"])
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


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda overlay: overlay.name)
def test_a_busy_worker_passes_the_share_of_its_request_at_which_replicas_are_added(overlay: Path) -> None:
    (deployment,) = [found for found in overlaid(overlay) if found["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (autoscaler,) = [found for found in overlaid(overlay) if found["kind"] == "HorizontalPodAutoscaler"]
    target = autoscaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"]
    workers = int(next(one["value"] for one in container["env"] if one["name"] == "CHURN_WORKERS"))
    assert processors(container["resources"]["requests"]["cpu"]) * target / 100 < workers


def processors(quantity: str) -> float:
    """A CPU quantity of Kubernetes, such as `250m` or `1`."""
    return float(quantity.removesuffix("m")) / 1000 if quantity.endswith("m") else float(quantity)


def test_the_reports_pod_is_called_by_nobody_and_calls_names_and_the_pushgateway_only() -> None:
    policy = named("NetworkPolicy", "churn-weekly-report")["spec"]
    assert policy["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": "weekly-report"}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in policy
    assert [sorted(port["port"] for port in rule["ports"]) for rule in policy["egress"]] == [[53, 53], [9091]]


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


def test_erasure_starts_by_hand_alone_writes_to_the_log_and_calls_nobody() -> None:
    job = named("CronJob", "churn-erase")["spec"]
    assert job["suspend"] is True
    (container,) = pod_specs()[2]["containers"]
    assert container["volumeMounts"] == [{"name": "predictions", "mountPath": "/predictions"}]
    assert container["command"] == ["python", "-m", "churn.prediction_log", "erase", "--customer=$(CUSTOMER)"]
    by_name = {variable["name"]: variable for variable in container["env"]}
    assert by_name["CHURN_LOG_DIR"]["value"] == "/predictions"
    assert by_name["CUSTOMER"]["valueFrom"]["secretKeyRef"] == {"name": "churn-erase", "key": "customer"}
    policy = named("NetworkPolicy", "churn-erase")["spec"]
    assert policy.keys() == {"podSelector", "policyTypes"}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    labels = job["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == labels

    stack = compose()["services"]["erase"]
    assert (stack["profiles"], stack["network_mode"]) == (["erase"], "none")
    assert stack["entrypoint"] == container["command"][:4]
    assert stack["environment"] == {"CHURN_LOG_DIR": "/predictions"}
    assert stack["volumes"] == ["predictions:/predictions"]


def alerts() -> list[Manifest]:
    (rules,) = documents(DEPLOY / "prometheus" / "rules.yml")
    return [rule for group in rules["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("alert", alerts(), ids=lambda found: str(found["alert"]))
def test_every_alert_says_what_is_wrong_what_to_do_and_where_to_read_on(alert: Manifest) -> None:
    name, severity = alert["alert"], alert["labels"]["severity"]
    assert alert["annotations"].keys() == {"summary", "action", "runbook"}
    assert alert["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
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


def test_the_adapter_knows_the_metric_that_the_autoscaler_goes_by() -> None:
    (values,) = documents(KUBERNETES / "prometheus-adapter" / "values.yaml")
    (rule,) = values["rules"]["custom"]
    (wanted,) = [
        metric["pods"]["metric"]["name"]
        for metric in named("HorizontalPodAutoscaler", "churn-service")["spec"]["metrics"]
        if metric["type"] == "Pods"
    ]
    assert rule["name"]["as"] == wanted == service_metrics.IN_FLIGHT._name
    assert rule["seriesQuery"].startswith(f"{wanted}{{")
    assert re.fullmatch(rule["name"]["matches"], wanted)
    assert set(rule["resources"]["overrides"]) == {"namespace", "pod"}


def test_every_metric_of_ours_in_the_rules_is_written_by_somebody() -> None:
    exported = {found.name for metric in service_metrics.METRICS for found in metric.describe()}
    samples = {f"{name}{suffix}" for name in exported for suffix in ("", "_total", "_bucket")}
    named = {name for alert in alerts() for name in re.findall(r"\bchurn_[a-z_]+", alert["expr"])}
    assert named <= samples | set(report_metrics.METRICS)


def compose() -> Manifest:
    (only,) = documents(DEPLOY / "compose" / "compose.yaml")
    return only


def mounts() -> list[tuple[str, str, str, bool]]:
    """Service, source, target and whether it is read-only, of every mount."""
    found = []
    for name, service in compose()["services"].items():
        for mount in service.get("volumes", []):
            source, target, *options = re.sub(r"\$\{[^}]*\}", "VARIABLE", mount).split(":")
            found.append((name, source, target, options == ["ro"]))
    return found


LONG_RUNNING = ["churn-service", "prometheus", "alertmanager", "pushgateway", "grafana"]


def test_the_stack_is_the_service_and_what_watches_it() -> None:
    services = compose()["services"]
    assert [name for name, service in services.items() if "profiles" not in service] == LONG_RUNNING
    assert [name for name, service in services.items() if service.get("profiles") == ["report"]] == ["report", "model"]


@pytest.mark.parametrize("name", compose()["services"])
def test_every_service_of_the_stack_has_no_privileges_and_a_bound(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] == 256
    assert all(re.fullmatch(r"/tmp:size=\d+[mg]", mount) for mount in service.get("tmpfs", []))
    assert (service.get("restart") == "unless-stopped") is (name in LONG_RUNNING)
    assert "privileged" not in service
    assert "user" not in service


@pytest.mark.parametrize("name", compose()["services"])
def test_the_stack_answers_this_machine_only(name: str) -> None:
    for port in compose()["services"][name].get("ports", []):
        assert port.startswith("127.0.0.1:")
    assert compose()["services"][name].get("network_mode") != "host"


def test_each_service_of_the_stack_reaches_only_whom_it_works_with() -> None:
    stack = compose()
    reached = {name: set(service.get("networks", [])) for name, service in stack["services"].items()}
    neighbours = {
        name: {other for other in reached if other != name and networks & reached[other]}
        for name, networks in reached.items()
    }
    assert neighbours["churn-service"] == {"prometheus"}
    assert neighbours["report"] == {"pushgateway"}
    assert neighbours["model"] == set()
    assert set(stack["networks"]) == set().union(*reached.values())


@pytest.mark.parametrize("name", compose()["services"])
def test_every_image_of_the_stack_is_named_exactly_or_has_to_be_given(name: str) -> None:
    image = compose()["services"][name]["image"]
    assert re.fullmatch(r"\$\{[A-Z_]*IMAGE(:\?[^}]+|:-churn-report|:-[a-z/]+:v?\d+\.\d+\.\d+)\}", image)


def test_there_is_no_password_in_the_stack() -> None:
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value)
    assert "${GRAFANA_PASSWORD:?" in compose()["services"]["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]


def test_every_file_that_is_mounted_exists_and_every_volume_is_declared() -> None:
    for service, source, _, read_only in mounts():
        if source.startswith("."):
            assert (DEPLOY / "compose" / source).resolve().is_relative_to(DEPLOY)
            assert (DEPLOY / "compose" / source).exists(), f"{service} mounts {source}"
            assert read_only
        elif source != "VARIABLE":
            assert source in compose()["volumes"]
    assert set(compose()["volumes"]) == {source for _, source, _, _ in mounts() if re.fullmatch(r"[a-z]+", source)}


def test_what_watches_reads_the_very_files_that_test_system_starts() -> None:
    services = compose()["services"]
    mounted = {(name, target): (DEPLOY / "compose" / source).resolve() for name, source, target, _ in mounts()}
    assert mounted["prometheus", "/etc/prometheus"] == DEPLOY / "prometheus"
    assert "--config.file=/etc/prometheus/prometheus.yml" in services["prometheus"]["command"]
    assert mounted["alertmanager", "/etc/alertmanager/alertmanager.yml"] == DEPLOY / "prometheus" / "alertmanager.yml"
    assert "--config.file=/etc/alertmanager/alertmanager.yml" in services["alertmanager"]["command"]
    assert mounted["grafana", "/etc/grafana/provisioning"] == DEPLOY / "grafana" / "provisioning"
    (provided,) = documents(DEPLOY / "grafana" / "provisioning" / "dashboards" / "churn.yaml")
    (provider,) = provided["providers"]
    assert mounted["grafana", provider["options"]["path"]] == DEPLOY / "grafana" / "dashboards"


def test_the_targets_and_the_data_source_are_services_of_the_stack() -> None:
    ports = {"churn-service": 3000, "alertmanager": 9093, "pushgateway": 9091}
    for path in (DEPLOY / "prometheus" / "targets").glob("*.json"):
        ((target,),) = [one["targets"] for one in json.loads(path.read_text())]
        assert target == f"{path.stem}:{ports[path.stem]}"
        assert path.stem in compose()["services"]
    (sources,) = documents(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml")
    assert [source["url"] for source in sources["datasources"]] == ["http://prometheus:9090"]
    assert compose()["services"]["report"]["environment"] == {
        "CHURN_PUSHGATEWAY": "http://pushgateway:9091",
        "CHURN_NAMESPACE": "churn",
    }


def test_the_report_pushes_under_the_namespace_that_its_targets_have() -> None:
    (target,) = json.loads((DEPLOY / "prometheus" / "targets" / "churn-service.json").read_text())
    assert compose()["services"]["report"]["environment"]["CHURN_NAMESPACE"] == target["labels"]["namespace"]
    (job,) = [one for one in documents(KUBERNETES / "base" / "weekly-report.yaml") if one["kind"] == "CronJob"]
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (variable,) = container["env"]
    assert variable["name"] == "CHURN_NAMESPACE"
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}


def test_the_service_of_the_stack_keeps_its_log_and_wants_a_key() -> None:
    service = compose()["services"]["churn-service"]
    assert service["mem_limit"] == "512m"
    assert service["environment"]["CHURN_API_KEYS_FILE"] == "/run/churn-api-keys"
    assert {(source, target) for name, source, target, _ in mounts() if name == "churn-service"} == {
        ("predictions", "/predictions"),
        ("VARIABLE", "/run/churn-api-keys"),
    }
    assert ("report", "predictions", "/predictions", True) in mounts()


def test_the_reports_image_copies_and_installs_all_that_the_report_imports() -> None:
    copied = re.findall(r"^COPY (\S+) /app/src/", (DEPLOY / "report" / "Dockerfile").read_text(), flags=re.MULTILINE)
    modules = reached([Path("monitoring/report.py")])
    assert {path.parts[0] for path in modules} == set(copied)
    lock = (ROOT / "requirements" / "demo.txt").read_text()
    distributions = metadata.packages_distributions()
    for package in set().union(*map(packages, modules)) - sys.stdlib_module_names - {"churn", "monitoring"}:
        names = {re.sub(r"[-_.]+", "-", name).lower() for name in distributions[package]}
        assert any(re.search(rf"^{name}==", lock, flags=re.MULTILINE) for name in names), package


def test_the_alert_rules_are_wrapped_for_the_operator_as_the_page_says() -> None:
    wrapping = re.search(r"^\(printf .*?^ sed [^)]*\)", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert wrapping
    made = subprocess.run(["bash", "-euc", wrapping[0]], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (rules,) = documents(DEPLOY / "prometheus" / "rules.yml")
    assert yaml.safe_load(made) == {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "churn"},
        "spec": rules,
    }


def test_the_page_names_files_that_exist_and_variables_that_the_stack_wants() -> None:
    page = PAGE.read_text()
    for path in set(re.findall(r"deploy/[a-zA-Z0-9_./-]+", page)):
        assert (ROOT / path.rstrip(".")).exists(), path
    wanted = set(re.findall(r"\$\{([A-Z_]+):\?", (DEPLOY / "compose" / "compose.yaml").read_text()))
    assert wanted == {"IMAGE", "CHURN_API_KEYS_FILE", "GRAFANA_PASSWORD"}
    for name in wanted:
        assert f"{name}=" in page


def in_production(kind: str, name: str) -> Manifest:
    manifests = overlaid(KUBERNETES / "overlays" / "production")
    (only,) = [found for found in manifests if (found["kind"], found["metadata"]["name"]) == (kind, name)]
    return only


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_page_says_how_long_the_claimed_storage_lasts() -> None:
    page = PAGE.read_text()
    claimed = in_production("PersistentVolumeClaim", "churn-predictions")["spec"]["resources"]["requests"]["storage"]
    line = re.search(r"bytes of a line in the prediction log \| ([\d,]+) \|", page)
    said = re.search(r"claims (\d+) GiB, .*?\(([\d,]+) × ([\d,]+) × (\d+)\s+= (\d+) GB\)", page, flags=re.DOTALL)
    assert line
    assert said
    gigabytes, customers, size, weeks, total = (number(text) for text in said.groups())
    assert claimed == f"{gigabytes}Gi"
    assert size == number(line[1])
    assert round(customers * size * weeks / 1e9) == total
    assert 0.9 < total * 1e9 / (gigabytes * 2**30) <= 1


def test_the_page_says_what_the_largest_deployment_reaches() -> None:
    page = PAGE.read_text()
    scaler = in_production("HorizontalPodAutoscaler", "churn-service")["spec"]
    (busy,) = [metric["resource"]["target"] for metric in scaler["metrics"] if metric["type"] == "Resource"]
    one = re.search(r"that is ([\d,]+) customers a second", page)
    said = re.search(
        r"(\d+) to (\d+) replicas would reach ([\d,]+) customers a second \(\2 × ([\d,]+) × ([\d.]+)\)", page
    )
    assert one
    assert said
    fewest, most, reached, each, share = said.groups()
    assert (number(fewest), number(most)) == (scaler["minReplicas"], scaler["maxReplicas"])
    assert (each, float(share)) == (one[1], busy["averageUtilization"] / 100)
    assert number(reached) == round(number(most) * number(each) * float(share), -4)


def test_the_scheduled_report_is_of_the_week_that_is_over_and_is_not_tried_again_when_it_is_there() -> None:
    job = named("CronJob", "churn-weekly-report")["spec"]
    (report,) = pod_specs()[1]["containers"]
    assert str(requested(report["args"], datetime(2018, 11, 5, 4, tzinfo=UTC)).settings.week) == "2018-W44"
    assert (job["schedule"], job["timeZone"]) == ("0 4 * * 1", "Etc/UTC")
    (rule,) = job["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [PAGE_STATUS, CHANNEL_STATUS]
