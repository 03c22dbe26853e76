"""``token create`` and ``token status``: what one site gives another so that it may link."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from skupper_podman.cli.argv import exactly
from skupper_podman.cli.flags import flag
from skupper_podman.cli.later import TOKEN_ON_KUBERNETES
from skupper_podman.cli.render import tokens as render
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.tokenfile import read_token, writing
from skupper_podman.cli.tokenreport import report
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import NotEnabledError
from skupper_podman.plan import Plan

app = new_app()


@dataclass(frozen=True, slots=True)
class Create:
    """Flags of ``token create``."""

    name: str = flag("name", "string", "Name of the token", default="skupper")
    ingress_host: str = flag("ingress-host", "string", "One of the site's ingress hosts (default: the first)")
    force: bool = flag("force", "bool", "Overwrite a file that is no token")


@command(
    app,
    "token create",
    Create,
    usage="<output-token-file>",
    rule=exactly(1),
    changes=True,
    elsewhere=TOKEN_ON_KUBERNETES,
)
def create(session: Session, options: Create, arguments: tuple[str, ...]) -> Result:
    """Create a token

    The file holds a private key: whoever has it can link to this site. It is written with mode 0600.
    """
    path = Path(arguments[0])
    platform = session.platform()
    platform.identity()  # without a site nothing is planned
    step = writing(path, lambda: platform.create_token(options.name, options.ingress_host), force=options.force)
    plan = Plan(f"Create a token in {path}", (step,))
    data = {"action": "created", "file": str(path), "name": options.name}
    # The blank before the end of the line is 1.9's.
    return session.carry_out(plan, Outcome("Token", {**data}, lambda _facts: f"Connection token written to {path} \n"))


@dataclass(frozen=True, slots=True)
class Status:
    """``token status`` has no flags of its own."""


@command(app, "token status", Status, usage="<output-token-file>", rule=exactly(1))
def status(session: Session, _options: Status, arguments: tuple[str, ...]) -> Result:
    """Check what is in a token and whether it matches this site

    Tokens of other sites can be looked at too. The exit code is 1 if the token has expired or does not match.
    """
    path = Path(arguments[0])
    token = read_token(path)
    platform = session.platform()
    try:
        _name, site_id = platform.identity()
        served = platform.site_certificate() if token.generated_by == site_id else (b"", b"")
    except NotEnabledError:
        site_id, served = "", (b"", b"")
    found = report(token, str(path), site_id, served, session.world.now())
    return Result("TokenStatus", render.token(found), found.document(), exit_code=0 if found.usable else 1)
