"""Golden tests of ``version`` (cli reference 2.14)."""

from skupper_podman.cli.render import versions as render


def test_with_images() -> None:
    images = [
        ("transport version", "quay.io/skupper/skupper-router:2.7.6", "sha256:0123456789abcdef"),
        ("controller version", "quay.io/skupper/service-controller:1.9.6", ""),
    ]
    assert render.report("1.9.6", images, "", "0.1.0") == (
        "client version                 1.9.6\n"
        "transport version              quay.io/skupper/skupper-router:2.7.6 (sha256:0123456789ab)\n"
        "controller version             quay.io/skupper/service-controller:1.9.6\n"
        "skupper-podman version         0.1.0\n"
    )


def test_without_a_site() -> None:
    assert render.report("1.9.6", [], render.without_image("podman", "user 'jdoe'"), "0.1.0").splitlines() == [
        "client version                 1.9.6",
        "Skupper is not enabled for user 'jdoe'",
        "skupper-podman version         0.1.0",
    ]


def test_kubernetes_says_why_there_is_nothing() -> None:
    assert render.without_image("kubernetes", "jdoe") == (
        "transport version              not-found (the kubernetes platform has no backend in this release)"
    )
