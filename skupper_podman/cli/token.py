"""``token create``, ``status``, ``list`` and ``revoke``: what one site gives another so that it may link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from skupper_podman.cli import documents
from skupper_podman.cli.argv import exactly
from skupper_podman.cli.flags import flag
from skupper_podman.cli.govalues import SECOND
from skupper_podman.cli.later import TOKEN_ON_KUBERNETES
from skupper_podman.cli.render import tokens as render
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.tokenfile import read_token, writing
from skupper_podman.cli.tokenreport import Local, report
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import NotEnabledError, UsageError
from skupper_podman.model.link import Token
from skupper_podman.plan import Plan
from skupper_podman.platform import Platform, TokenRequest

app = new_app()

_DEFAULT_NAME: Final = "skupper"
"""1.9's default; for a claim it stands for a name that is made up."""


@dataclass(frozen=True, slots=True)
class Create:
    """Flags of ``token create``."""

    name: str = flag(
        "name", "string", "Name of the token (of a claim, by default a new unique one)", default=_DEFAULT_NAME
    )
    token_type: str = flag(
        "token-type", "string", "Type of token: claim, cert (default: claim if the site redeems claims)", short="t",
        choices=("claim", "cert"),
    )  # fmt: skip
    password: str = flag("password", "string", "Password of the claim (default: a random one)", short="p")
    expiry: int = flag("expiry", "duration", "Time in which the claim is valid, 0 for no limit", default=900 * SECOND)
    uses: int = flag("uses", "int", "Number of uses for which the claim is valid, 0 for no limit", default=1)
    ingress_host: str = flag("ingress-host", "string", "One of the site's ingress hosts (default: the first)")
    force: bool = flag("force", "bool", "Overwrite a file that is no token")


_EXAMPLES: Final = """\
  # For one other site, within the next quarter of an hour
  skupper token create east.token

  # For ten sites in a day, at one of this site's addresses
  skupper token create fleet.token --uses 10 --expiry 24h --ingress-host 192.0.2.10"""


@command(
    app, "token create", Create, usage="<output-token-file>", rule=exactly(1), changes=True,
    elsewhere=TOKEN_ON_KUBERNETES, examples=_EXAMPLES,
)  # fmt: skip
def create(session: Session, options: Create, arguments: tuple[str, ...]) -> Result:
    """Create a token

    A claim is exchanged for a certificate by the site that uses it: by default once, within 15 minutes. A token of
    type cert holds a private key, and can be used any number of times. Either is written with mode 0600.
    """
    path = Path(arguments[0])
    request = _request(session, options)
    platform = session.platform()
    platform.identity()  # without a site nothing is planned
    token = platform.plan_token(request)
    write = writing(path, token.content, force=options.force)
    plan = Plan(f"Create a token in {path}", (*token.steps, write), token.facts)
    name = str(token.facts.get("name", options.name))
    data = {"action": "created", "file": str(path), "name": name, "type": token.kind}
    # The blank before the end of the line is 1.9's.
    text = f"{'Token' if token.kind == 'claim' else 'Connection token'} written to {path} \n"
    return session.carry_out(plan, Outcome("Token", {**data}, lambda _facts: text))


def _request(session: Session, options: Create) -> TokenRequest:
    if options.token_type not in ("", "claim", "cert"):
        raise UsageError("invalid token type. Specify cert or claim")
    claim_only = [name for name in ("password", "expiry", "uses") if name in session.given]
    if options.token_type == "cert" and claim_only:  # noqa: S105  no password
        raise UsageError(f"--{claim_only[0]} is a flag of claims: it has no effect on a token of type cert")
    # Whoever limits a token must not get one without limits.
    kind = options.token_type or ("claim" if claim_only else "")
    return TokenRequest(
        kind=cast("Literal['', 'claim', 'cert']", kind),
        name="" if options.name == _DEFAULT_NAME else options.name,
        ingress_host=options.ingress_host,
        expiry=options.expiry / SECOND,
        uses=options.uses,
        password=options.password,
    )


@dataclass(frozen=True, slots=True)
class Status:
    """``token status`` has no flags of its own."""


@command(app, "token status", Status, usage="<output-token-file>", rule=exactly(1))
def status(session: Session, _options: Status, arguments: tuple[str, ...]) -> Result:
    """Check what is in a token and whether it can still be used

    Tokens of other sites can be looked at too, but only their issuer knows whether a claim was used or revoked. The
    exit code is 1 if the token has expired, was used up or revoked, or does not match this site.
    """
    path = Path(arguments[0])
    token = read_token(path)
    platform = session.platform()
    found = report(token, str(path), _local(platform, token), session.world.now())
    return Result("TokenStatus", render.token(found), found.document(), exit_code=0 if found.usable else 1)


def _local(platform: Platform, token: Token) -> Local:
    """What this site knows about a token."""
    try:
        _name, site_id = platform.identity()
    except NotEnabledError:
        return Local()
    if token.generated_by != site_id:
        return Local(site_id)
    claims = platform.claims() if token.kind == "token-claim" else ()
    return Local(site_id, platform.site_certificate(), {claim.name: claim for claim in claims})


@dataclass(frozen=True, slots=True)
class List:
    """``token list`` has no flags of its own."""


@command(app, "token list", List)
def list_(session: Session, _options: List, _arguments: tuple[str, ...]) -> Result:
    """List the claims that this site gave away

    Certificates are not among them: a site keeps no record of those.
    """
    claims = session.platform().claims()
    now = session.world.now()
    return Result("TokenList", render.claims(claims, now), documents.token_list(claims, now))


@dataclass(frozen=True, slots=True)
class Revoke:
    """``token revoke`` has no flags of its own."""


@command(app, "token revoke", Revoke, usage="<name>", rule=exactly(1), changes=True)
def revoke(session: Session, _options: Revoke, arguments: tuple[str, ...]) -> Result:
    """End a claim that this site gave away

    Links that were made with it stay.
    """
    name = arguments[0]
    plan = session.plan(lambda platform: platform.plan_claim_revoke(name))

    def text(_facts: Mapping[str, object]) -> str:
        return f"Token '{name}' has been revoked\n"

    return session.carry_out(plan, Outcome("Token", {"action": "revoked", "name": name}, text))
