"""Sites on Podman: everything of this platform, behind :class:`skupper_podman.platform.podman.site.PodmanPlatform`."""
