"""What every platform promises the command line, as tests over the Platform protocol.

A subclass gives ``platform`` (a host without a site) and ``token`` (one of another site); the one in memory and the
podman platform are held to the same.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from skupper_podman.desired.tokens import parse_token
from skupper_podman.errors import (
    ConflictError,
    LinkCheckError,
    NotEnabledError,
    NotFoundError,
    SkupperError,
    UsageError,
)
from skupper_podman.model.link import Token
from skupper_podman.model.service import Service, Target
from skupper_podman.model.site import SiteSpec
from skupper_podman.plan import Plan
from skupper_podman.platform import Platform, SiteRequest, TokenRequest

REQUEST = SiteRequest(
    SiteSpec("west", "", ingress_hosts=("192.0.2.5",), router="embedded", inter_router_port=21671, edge_port=21672),
    timeout=60,
)
SERVICE = Service("backend", (8080,), targets=(Target("10.0.0.1", ((8080, 9090),)),))


def applied(plan: Plan) -> Plan:
    plan.apply()
    return plan


class PlatformContract:
    """The tests; pytest collects them in subclasses only."""

    @pytest.fixture
    def platform(self) -> Platform:
        raise NotImplementedError

    @pytest.fixture
    def token(self) -> Token:
        raise NotImplementedError

    def test_without_a_site(self, platform: Platform) -> None:
        for ask in (
            platform.identity, platform.links, platform.services, platform.site_status, platform.link_status,
            platform.service_status, platform.incoming_links, platform.network_status, platform.plan_delete,
            platform.site_certificate, platform.claims, platform.plan_revoke, self._update(platform),
            platform.certificates, platform.plan_renewal, platform.plan_rotation, platform.plan_retirement,
            lambda: platform.site_units(None), lambda: platform.plan_service_label("backend", {}, ()),
            lambda: platform.plan_service_allow("backend", (), None),
        ):  # fmt: skip
            with pytest.raises(NotEnabledError):
                ask()
        assert platform.versions().client

    @staticmethod
    def _update(platform: Platform) -> Callable[[], Plan]:
        return lambda: platform.plan_update(force_restart=False, timeout=60, dry_run=False)

    def test_a_site(self, platform: Platform, token: Token) -> None:
        plan = platform.plan_init(REQUEST)
        assert plan.changed
        assert plan.lines()
        with pytest.raises(NotEnabledError):
            platform.identity()
        applied(plan)
        name, site_id = platform.identity()
        assert name == "west"
        assert site_id
        assert platform.plan_init(REQUEST).steps == ()
        assert self._update(platform)().steps == ()
        assert applied(platform.plan_revoke()).changed
        assert platform.plan_init(REQUEST).steps == ()
        self._certificates(platform)
        self._tokens(platform, site_id)
        self._links(platform, token)
        self._services(platform)
        for quadlet in (True, False):
            units = platform.site_units(quadlet)
            assert units.kind == ("quadlet" if quadlet else "unit")
            assert all(file.content.startswith("# Written by skupper ") for file in units.files)
        status = platform.site_status()
        assert (status.name, status.site_id, status.services) == ("west", site_id, 0)
        assert status.probes
        applied(platform.plan_delete())
        with pytest.raises(NotEnabledError):
            platform.identity()

    def _certificates(self, platform: Platform) -> None:
        assert platform.plan_renewal().steps == ()
        with pytest.raises(NotFoundError):
            platform.plan_renewal(("nonsense",))
        assert platform.plan_retirement().steps == ()
        assert applied(platform.plan_rotation(("local",))).facts["renewed"]
        with pytest.raises(UsageError):
            platform.plan_rotation(("nonsense",))
        assert applied(platform.plan_retirement()).changed
        assert platform.plan_retirement().steps == ()
        assert platform.plan_renewal().steps == ()
        assert platform.plan_init(REQUEST).steps == ()

    def _tokens(self, platform: Platform, site_id: str) -> None:
        planned = platform.plan_token(TokenRequest("cert", "mine"))
        token = parse_token(planned.content())
        assert (planned.kind, planned.steps) == ("cert", ())
        assert (token.name, token.generated_by) == ("mine", site_id)
        assert token.endpoint("inter-router") == ("192.0.2.5", "21671")
        with pytest.raises(SkupperError):
            platform.plan_token(TokenRequest("cert", "mine", "elsewhere"))
        with pytest.raises(SkupperError):
            platform.plan_link_create(token, "", None)
        self._claims(platform, site_id)

    def _claims(self, platform: Platform, site_id: str) -> None:
        planned = platform.plan_token(TokenRequest(name="once", uses=3, password="sesame"))
        assert (planned.kind, platform.claims()) == ("claim", ())
        applied(Plan("Create a claim", planned.steps))
        token = parse_token(planned.content())
        assert (token.name, token.kind, token.generated_by) == ("once", "token-claim", site_id)
        assert token.annotations["skupper.io/url"] == "https://192.0.2.5:8081/once"
        assert token.data["password"] == b"sesame"
        claim = platform.claims()[0]
        assert (claim.name, claim.remaining, claim.made, claim.host) == ("once", 3, 0, "192.0.2.5")
        assert claim.expires is not None
        with pytest.raises(ConflictError):
            platform.plan_token(TokenRequest(name="once"))
        with pytest.raises(SkupperError):
            platform.plan_link_create(token, "", None)
        applied(platform.plan_claim_revoke("once"))
        assert platform.claims() == ()
        with pytest.raises(NotFoundError):
            platform.plan_claim_revoke("once")

    def _links(self, platform: Platform, token: Token) -> None:
        plan = platform.plan_link_create(token, "", None)
        assert platform.links() == ()
        assert plan.facts["name"] == "link1"
        assert (plan.facts["host"], plan.facts["port"]) == token.endpoint("inter-router")
        applied(plan)
        assert [link.name for link in platform.links()] == ["link1"]
        assert [status.link for status in platform.link_status()] == list(platform.links())
        with pytest.raises(LinkCheckError, match="Already connected") as caught:
            platform.plan_link_create(token, "", None)
        assert caught.value.check == "link-duplicate"
        applied(platform.plan_link_update("link1", 99999))
        assert platform.links()[0].cost == 99999
        assert platform.plan_link_update("link1", 99999).steps == ()
        applied(platform.plan_link_create(token, "", None, replace=True))
        assert [(link.name, link.cost) for link in platform.links()] == [("link1", 99999)]
        applied(platform.plan_link_create(token, "other", 7, replace=True))
        assert [(link.name, link.cost) for link in platform.links()] == [("other", 7)]
        with pytest.raises(NotFoundError):
            platform.plan_link_update("link1", 2)
        applied(platform.plan_link_create(token, "link1", None, replace=True))
        applied(platform.plan_link_delete("link1"))
        assert platform.links() == ()
        with pytest.raises(NotFoundError):
            platform.plan_link_delete("link1")

    def _services(self, platform: Platform) -> None:
        applied(platform.plan_service_create(SERVICE))
        assert [service.address for service in platform.services()] == ["backend"]
        assert platform.services()[0].targets == SERVICE.targets
        assert [status.service.address for status in platform.service_status()] == ["backend"]
        with pytest.raises(SkupperError):
            platform.plan_service_create(SERVICE)
        applied(platform.plan_service_label("backend", {"a": "1", "b": "2"}, ()))
        applied(platform.plan_service_label("backend", {"b": "3"}, ("a", "b")))
        assert platform.plan_service_label("backend", {"b": "3"}, ("a",)).steps == ()
        assert platform.services()[0].labels == {"b": "3"}
        applied(platform.plan_service_allow("backend", ("west", "east"), ()))
        applied(platform.plan_service_allow("backend", ("north",), ("east", "west")))
        assert platform.plan_service_allow("backend", ("north",), ("east",)).steps == ()
        assert platform.services()[0].allowed_sites == ("north",)
        with pytest.raises(UsageError, match="no site would be left"):
            platform.plan_service_allow("backend", (), ("north",))
        applied(platform.plan_service_allow("backend", (), None))
        assert platform.services()[0].allowed_sites == ()
        other = Target("10.0.0.2", ((8080, 8080),))
        applied(platform.plan_bind("backend", other))
        assert platform.plan_bind("backend", other).steps == ()
        applied(platform.plan_unbind("backend", "10.0.0.1", delete_if_last=True))
        assert platform.services()[0].targets == (other,)
        with pytest.raises(NotFoundError):
            platform.plan_unbind("backend", "10.0.0.1", delete_if_last=True)
        applied(platform.plan_unbind("backend", "10.0.0.2", delete_if_last=True))
        assert platform.services() == ()
        with pytest.raises(NotFoundError):
            platform.plan_service_delete("backend")
