"""``version``: of this program and of the router that runs."""

from __future__ import annotations

from dataclasses import dataclass

from skupper_podman import SKUPPER_VERSION, __version__
from skupper_podman.cli.render import versions as render
from skupper_podman.cli.result import Json, Result
from skupper_podman.cli.session import Session
from skupper_podman.cli.typed import command, new_app

app = new_app()


@dataclass(frozen=True, slots=True)
class Version:
    """``version`` has no flags of its own."""


@command(app, "version", Version)
def version(session: Session, _options: Version, _arguments: tuple[str, ...]) -> Result:
    """Report the version of the Skupper CLI and services"""
    world, platform = session.world, session.choice.platform
    image = world.router_image(world) if platform == "podman" else None
    images = [(render.TRANSPORT, *image)] if image else []
    remark = "" if image else render.without_image(platform, world.whose)
    text = render.report(SKUPPER_VERSION, images, remark, __version__)
    data: dict[str, Json] = {
        "client": SKUPPER_VERSION,
        "program": {"name": "skupper-podman", "version": __version__},
        "platform": platform,
        "enabled": bool(image),
        "images": [{"name": "transport", "image": reference, "digest": digest} for _label, reference, digest in images],
    }
    return Result("Version", text, data)
