"""What is looked at before something is changed: ports, the site, the targets, the clock."""

import datetime
import os
import socket
import ssl
from typing import Any, Dict, List, Optional, Set, Tuple

from .bundle import Bundle
from .failures import EXPIRED, NO_LINK, PORT_TAKEN, Failure

_PATIENCE = 5.0


class Finding:
    """One thing looked at: `ok` is None for what is only told."""

    def __init__(self, check: str, ok: Optional[bool], text: str, failure: Optional[Failure] = None) -> None:
        self.check = check
        self.ok = ok
        self.text = text
        self.failure = failure

    def document(self) -> Dict[str, Any]:
        """For `--json`."""
        return {"check": self.check, "ok": self.ok, "detail": self.text}


def clock(bundle: Bundle, expires: datetime.datetime, now: datetime.datetime) -> Finding:
    """The credential, which is valid until `expires`, against this host's clock."""
    if now < bundle.created - datetime.timedelta(minutes=5):
        told = (_day(now), _day(bundle.created))
        text = "this host's clock is wrong: it says %s, but the bundle was made at %s" % told
        return Finding("clock", False, text, Failure(EXPIRED, text, "set the clock"))
    if expires <= now:
        text = "the credential of this bundle expired at %s" % _day(expires)
        return Finding("clock", False, text, Failure(EXPIRED, text, "get a new one: skupper gateway generate-bundle"))
    return Finding("clock", True, "the credential is valid until %s" % _day(expires))


def _day(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def site(edge: Tuple[str, int], directory: str) -> Finding:
    """Whether the site answers there, is the right one, and takes the credential in `directory`."""
    host, port = edge
    where = "%s:%d" % edge
    try:
        context = ssl.create_default_context(cafile=os.path.join(directory, "ca.crt"))
        context.load_cert_chain(os.path.join(directory, "tls.crt"), os.path.join(directory, "tls.key"))
        plain = socket.create_connection((host, port), _PATIENCE)
        with plain, context.wrap_socket(plain, server_hostname=host) as secure:
            # With TLS 1.3 a refusal comes only after the handshake.
            secure.sendall(b"AMQP\x03\x01\x00\x00")
            if secure.recv(8) != b"AMQP\x03\x01\x00\x00":
                raise ssl.SSLError(1, "the site closed the connection")
    except ssl.SSLError as error:
        return _refused(where, error)
    except (OSError, ValueError) as error:
        reason = "no answer" if isinstance(error, socket.timeout) else getattr(error, "strerror", None) or str(error)
        text = "the site at %s cannot be reached: %s" % (where, reason)
        hint = "is it open to this host? if the site has moved, get a fresh bundle: skupper gateway generate-bundle"
        return Finding("site", False, text, Failure(NO_LINK, text, hint))
    return Finding("site", True, "the site at %s takes the credential" % where)


def _refused(where: str, error: ssl.SSLError) -> Finding:
    reason = str(error.reason or (error.args[-1] if error.args else error)).replace("_", " ").lower()
    if "certificate verify failed" in reason or "hostname" in reason or "ip address mismatch" in reason:
        text = "what answers at %s is not the site that made this bundle (%s)" % (where, reason)
        hint = "get a new bundle: skupper gateway generate-bundle"
    else:
        text = "the site at %s does not accept the credential (%s)" % (where, reason)
        hint = "was it revoked? get a new bundle: skupper gateway generate-bundle"
    return Finding("site", False, text, Failure(NO_LINK, text, hint))


def target(binding: Dict[str, Any]) -> Finding:
    """Whether the server of a binding accepts connections; it may well be started later."""
    where = "%s:%d" % (binding["host"], binding["port"])
    name = "target %s" % binding["name"]
    try:
        socket.create_connection((binding["host"], binding["port"]), _PATIENCE).close()
    except OSError as error:
        reason = error.strerror or str(error)
        return Finding(name, None, "%s for %s does not answer yet: %s" % (where, binding["address"], reason))
    return Finding(name, True, "%s for %s accepts connections" % (where, binding["address"]))


def port_free(host: str, port: int) -> str:
    """Why this port cannot be listened at; empty if it can."""
    try:
        places = socket.getaddrinfo(host or None, port, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    except OSError as error:
        return error.strerror or str(error)
    family, kind, protocol, _name, address = places[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def forwards(bundle: Bundle, own: List[int], given: Dict[str, int], auto: bool) -> Tuple[Dict[str, int], List[Finding]]:
    """The ports that differ from the bundle's, by forward; and what was found of each.

    `own` are ports that this gateway has already, `given` those that were chosen at an earlier launch.
    """
    changed, findings = {}, []
    for forward in bundle.forwards:
        name, host, port = forward["name"], forward["host"], int(forward["port"])
        check = "port %d" % port
        if given.get(name) in own and given.get(name) != port:
            changed[name] = given[name]
            findings.append(Finding(check, True, "forward %s listens at %d" % (name, given[name])))
            continue
        reason = "" if port in own else port_free(host, port)
        if not reason:
            findings.append(Finding(check, True, "port %d is free for forward %s" % (port, name)))
        elif auto:
            changed[name] = free_port(host, port + 1 if port >= 1023 else 1024, set(changed.values()))
            text = "port %d is taken, forward %s listens at %d" % (port, name, changed[name])
            findings.append(Finding(check, True, text))
        else:
            text = "port %d, at which forward %s is to listen, cannot be used: %s" % (port, name, reason)
            hint = "see by whom: ss -ltnp 'sport = :%d'; or take another one: --auto-port" % port
            findings.append(Finding(check, False, text, Failure(PORT_TAKEN, text, hint)))
    return changed, findings


def free_port(host: str, start: int, taken: Set[int]) -> int:
    """The first free port from `start` on; raises Failure if there is none."""
    for port in range(start, 65536):
        if port not in taken and not port_free(host, port):
            return port
    raise Failure(PORT_TAKEN, "no port from %d on is free" % start)
