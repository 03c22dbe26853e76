"""From a message sent to ``$management`` to the message that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skupper_podman.routerd.amqptypes import EncodeError
from skupper_podman.routerd.management.agent import Agent
from skupper_podman.routerd.management.provider import INTERNAL_ERROR, Response
from skupper_podman.routerd.message import Message, MessageId, Properties, RouterAnnotations, compose


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request, to be sent presettled to ``to``."""

    to: str
    correlation_id: MessageId | None
    application_properties: Mapping[str, Any]
    body: Any

    @property
    def properties(self) -> Properties:
        """The properties section of the message."""
        return Properties(to=self.to, correlation_id=self.correlation_id)

    def encode(self, annotations: RouterAnnotations | None = None) -> bytes:
        """The octets of the message. Raises EncodeError when the body has a value that AMQP lacks."""
        return compose(
            annotations,
            properties=self.properties,
            application_properties=self.application_properties,
            body=self.body,
        )


def answer(agent: Agent, request: Message) -> Reply | None:
    """Let the agent answer a request; None when it has no reply-to, for then it is not to be carried out."""
    to = request.reply_to
    if not to:
        return None
    # A request without message correlation is answered with its message-id, as AMQP's request-response has it.
    correlation = request.correlation_id if request.correlation_id is not None else request.message_id
    response = agent.handle(request.application_properties, request.body)
    reply = Reply(to, correlation, response.properties, response.body)
    try:
        reply.encode()
    except EncodeError as error:
        response = Response(INTERNAL_ERROR, f"The answer cannot be written as AMQP: {error}")
        return Reply(to, correlation, response.properties, response.body)
    return reply
