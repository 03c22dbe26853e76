"""The image made of the host, which all sites of a user share: made once, and gone with the last site that needs it.

What always holds: two commands never make it at the same time; it is not taken from under a command that has found it
and is about to run containers on it.
"""

from __future__ import annotations

from skupper_podman.platform.podman import hostimage
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.sites import LEAVING_NOTE, others_at_work


def make(context: Context) -> None:
    """Make the image if it is not there."""
    with context.user_lock():
        hostimage.ensure_host_image(context.api)


def is_left(context: Context) -> bool:
    """Whether there is one that nothing needs: an ``init`` was killed when it had made no more than that."""
    with context.user_lock():
        return not others_at_work(context.paths, context.names) and bool(hostimage.unused_images(context.api))


def drop(context: Context) -> bool:
    """Remove the image if nothing needs it; returns whether it is gone now. The command must make nothing any more."""
    context.note(LEAVING_NOTE)
    with context.user_lock():
        return not others_at_work(context.paths, context.names) and bool(hostimage.remove_unused_images(context.api))
