"""BentoML's service with a boundary around it."""

from collections.abc import Callable
from typing import Any, Protocol

from _bentoml_sdk import Service  # type: ignore[import-untyped]  # what bentoml.service takes as service_class

from serving import server
from serving.asgi import Application
from serving.boundary import Boundary
from serving.site import Site


class SiteOwner(Protocol):
    """An instance of the service: ready when it has been made."""

    site: Site


class BoundedService(Service):  # type: ignore[misc]  # BentoML's types are left out, see pyproject.toml
    """A service whose instance is reached through a boundary.

    Args:
        boundary: makes the boundary around BentoML's application.
        of_bentoml: what `bentoml.service` passes on.
    """

    def __init__(self, *, boundary: Callable[[Application], Boundary], **of_bentoml: Any) -> None:
        super().__init__(**of_bentoml)
        self._make_boundary = boundary
        self._boundary: Boundary | None = None

    def to_asgi(self, is_main: bool = True) -> Boundary:
        """The boundary, and within it BentoML's application; BentoML asks for it once in each worker."""
        server.install()
        self._boundary = self._make_boundary(super().to_asgi(is_main))
        return self._boundary

    def __call__(self) -> SiteOwner:
        """An instance, which the boundary answers with from now on."""
        instance: SiteOwner = super().__call__()
        if self._boundary is not None:
            self._boundary.open(instance.site)
        return instance
