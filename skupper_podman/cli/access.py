"""``revoke-access``: tokens and links of other sites end."""

from __future__ import annotations

from dataclasses import dataclass

from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.typed import command, new_app

app = new_app()


@dataclass(frozen=True, slots=True)
class RevokeAccess:
    """``revoke-access`` has no flags of its own."""


@command(app, "revoke-access", RevokeAccess, changes=True)
def revoke_access(session: Session, _options: RevokeAccess, _arguments: tuple[str, ...]) -> Result:
    """Revoke all previously granted access to the site.

    Makes a new certificate authority, so that all tokens of this site and all links from other sites end. Links that
    this site made itself stay.
    """
    plan = session.plan(lambda platform: platform.plan_revoke())
    text = "Access granted so far is revoked; sites that may link to this one need a new token: skupper token create\n"
    data = {"action": "revoked", "user": session.world.user, "namespace": session.world.namespace}
    return session.carry_out(plan, Outcome("Site", {**data}, lambda _facts: text))
