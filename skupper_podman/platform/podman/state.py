"""From a site as found to the state its resources follow from."""

from __future__ import annotations

from skupper_podman.desired.containers import PROGRAM_VERSION, Runtime
from skupper_podman.desired.site import SiteState
from skupper_podman.errors import ConflictError
from skupper_podman.platform.podman.observe import HOST_IMAGE_MARK, Observation, host_mounts_of


def state_of(site: Observation) -> SiteState:
    """The site as it is, with the runtime its router container has, so that new containers are like the old ones.

    Raises:
        ConflictError: there is no router container, so it is not known what a new container should run on.
    """
    if site.spec is None:
        raise ValueError("there is no site")
    return SiteState(site.spec, runtime_of(site), site.links, site.services, site.configs, site.document)


def runtime_of(site: Observation) -> Runtime:
    """What the site's containers run on, read from its router's container (which must have been inspected).

    Raises:
        ConflictError: it does not exist.
    """
    router = site.containers.get(site.names.router)
    if router is None or not router.detailed:
        raise ConflictError(f"container {site.names.router} does not exist", "to repair the site: skupper init")
    embedded = router.image.startswith(HOST_IMAGE_MARK)
    return Runtime(
        "embedded" if embedded else "image",
        router.image,
        router.image if embedded else "",
        host_mounts_of(router),
        "",
        program=router.env.get(PROGRAM_VERSION, ""),
    )
