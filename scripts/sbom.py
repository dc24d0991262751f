"""The software bill of materials of an image, in CycloneDX, from what is installed in it."""

import json
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL


def bill_of_materials(image: str, labels: dict[str, str], inventory: str) -> str:
    """CycloneDX 1.6, JSON.

    Args:
        image: name and tag.
        labels: of the image; its version is the component's.
        inventory: what `scripts.image_inventory` printed inside the image.
    """
    found = json.loads(inventory)
    bom = Bom()
    version = labels["org.opencontainers.image.version"]
    bom.metadata.component = Component(name=image, version=version, type=ComponentType.CONTAINER, bom_ref=image)
    bom.components.add(_component("generic", {"name": "python", "version": found["python"]}))
    bom.components.update(_component("pypi", row) for row in found["packages"])
    bom.components.update(_component("deb", row) for row in found["debian"])
    bom.components.add(_model(labels))
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _component(kind: str, row: dict[str, Any]) -> Component:
    architecture = row.get("architecture")
    purl = PackageURL(
        type=kind,
        namespace="debian" if kind == "deb" else None,
        name=row["name"],
        version=row["version"],
        qualifiers={"arch": architecture} if architecture else None,
    )
    return Component(
        name=row["name"],
        version=row["version"],
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=[DisjunctiveLicense(name=row["licence"])] if row.get("licence") else None,
    )


def _model(labels: dict[str, str]) -> Component:
    name, _, version = labels["churn.model"].partition(":")
    return Component(
        name=name, version=version, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=labels["churn.model"]
    )
