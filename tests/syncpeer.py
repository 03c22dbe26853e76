"""A site that is nothing but messages of service sync, sent from within the controller's container of a real site."""

from __future__ import annotations

import json
from typing import Any

PEER = """
import os, sys, time
from proton import Message, SSLDomain
from proton.utils import BlockingConnection
from skupper_podman.controller import syncwire
origin, text = sys.argv[1:]
domain = SSLDomain(SSLDomain.MODE_CLIENT)
domain.set_trusted_ca_db("/etc/messaging/ca.crt")
domain.set_credentials("/etc/messaging/tls.crt", "/etc/messaging/tls.key", None)
domain.set_peer_authentication(SSLDomain.VERIFY_PEER)
connection = BlockingConnection("amqps://skupper-router-local:5671", ssl_domain=domain, allowed_mechs="EXTERNAL")
sender = connection.create_sender(syncwire.ADDRESS)

def send(body):
    sender.send(Message(body=body, subject=syncwire.SUBJECT, properties={"origin": origin, "version": "1.9.6"}))

if text.startswith("@"):
    said, when = "", 0.0
    while os.path.exists(text[1:]):
        with open(text[1:]) as file:
            body = file.read()
        if body != said or time.monotonic() - when > 5:
            send(body)
            said, when = body, time.monotonic()
        time.sleep(0.2)
else:
    send(text)
connection.close()
"""


def body(*entries: dict[str, Any]) -> str:
    """What a site says that offers these services, and no others."""
    return json.dumps([{"protocol": "tcp", "exposeIngress": "", "targets": [], **entry} for entry in entries])


def speaking(origin: str, text: str) -> tuple[str, ...]:
    """What to run in the container for site ``origin`` to say ``text`` once; after ``@``, it is a file of what to say,
    whenever it changes and every five seconds, until it is removed."""
    return "python3", "-c", PEER, origin, text
