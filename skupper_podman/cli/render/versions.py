"""``skupper version``: label padded to 30 columns, one blank, value.

What always holds: nothing is imported here, so that ``version`` starts fast.
"""

from __future__ import annotations

from collections.abc import Sequence

TRANSPORT = "transport version"
DIGEST_LENGTH = 19
"""Characters of an image digest that are shown: ``sha256:`` and twelve digits."""


def line(label: str, value: str) -> str:
    """One line of the report."""
    return f"{label.ljust(30)} {value}\n"


def image(reference: str, digest: str) -> str:
    """An image with the start of its digest, if it has one."""
    return f"{reference} ({digest[:DIGEST_LENGTH]})" if digest else reference


def report(client: str, images: Sequence[tuple[str, str, str]], remark: str, program: str) -> str:
    """Client line, an image line for each ``(label, reference, digest)``, the remark if any, this program's version."""
    lines = [line("client version", client)]
    lines += [line(label, image(reference, digest)) for label, reference, digest in images]
    if remark:
        lines.append(f"{remark}\n")
    lines.append(line("skupper-podman version", program))
    return "".join(lines)


def without_image(platform: str, whose: str) -> str:
    """What takes the place of the image lines where no router is found."""
    if platform == "podman":
        return f"Skupper is not enabled for {whose}"
    return line(TRANSPORT, f"not-found (the {platform} platform has no backend in this release)").rstrip("\n")
