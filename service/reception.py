"""Where messages are received and replies given: what is stale, refused or came before goes no further than here.

Replies are never queued: they go out at once, or not at all.
"""

from collections.abc import Mapping

import structlog

from everest_system.broker import Broker
from everest_system.fsm.orders import Order, Reply, SetSystemTime
from everest_system.io.mqtt.codec import Command, Refusal, conservative_reply, decode, encode_reply
from everest_system.io.mqtt.link import MessageArrived
from everest_system.module import Module

_log = structlog.get_logger(__name__)


class Reception:
    """Stands between the broker and the station.

    Args:
        modules: by module id.
        broker: takes the replies.
    """

    def __init__(self, modules: Mapping[str, Module], broker: Broker) -> None:
        self._modules, self._broker = modules, broker

    def receive(self, event: MessageArrived) -> tuple[Module, Command] | None:
        """The command that `event` brings, and its module; None if nothing is left to be done about it."""
        for module in self._modules.values():
            decoded = decode(module.topics, event.topic, event.payload)
            if decoded is None:
                continue
            if event.retained:
                _log.warning("dropped a retained message", module_id=module.module_id, topic=event.topic)
            elif not self._broker.is_current(event.link):  # as it happens with each end of a connection, ours too
                _log.info("dropped a message of an earlier connection", module_id=module.module_id, topic=event.topic)
            elif isinstance(decoded, Refusal):
                self._refuse(module, decoded)
            elif decoded.reply_to is not None and (decoded.name, decoded.reply_to) in module.replies:
                self._repeat(module, decoded.name, decoded.reply_to)
            else:
                self._let_in(module, decoded)
                return module, decoded
            break
        return None

    def reply(self, order: Reply) -> None:
        """Answer a request, and remember the answer for a second delivery of it."""
        if order.reply_to is None:
            return
        reply = encode_reply(order.command, order.value)  # type: ignore[arg-type]  # each command's own word
        for module in self._modules.values():
            if (order.command, order.reply_to) in module.replies:
                module.remember_reply(order.command, order.reply_to, reply)
        if not self._broker.say(order.reply_to, reply):
            _log.warning(f"the reply to {order.command} could not be sent", reply_to=order.reply_to)

    def decline(self, order: Order) -> None:
        """Give the conservative answer to a request of which nothing could be stored: nothing will come of it."""
        match order:
            case Reply(command=command, reply_to=str(reply_to)):
                self._broker.say(reply_to, conservative_reply(command))
            case SetSystemTime(reply_to=str(reply_to)):
                self._broker.say(reply_to, conservative_reply("set_system_time"))

    def _let_in(self, module: Module, command: Command) -> None:
        for warning in command.warnings:
            _log.warning(f"{command.name}: {warning}", module_id=module.module_id)
        if command.reply_to is not None:
            module.remember_reply(command.name, command.reply_to, None)

    def _refuse(self, module: Module, refusal: Refusal) -> None:
        _log.warning(f"{refusal.command} refused: {refusal.reason}", module_id=module.module_id)
        if refusal.reply_to is not None and refusal.reply is not None:
            self._broker.say(refusal.reply_to, refusal.reply)

    def _repeat(self, module: Module, command: str, reply_to: str) -> None:
        """A request that came twice is answered twice and carried out once.

        One for another command is another request, whoever gave it a used `replyTo`: the first one's answer would be
        malformed for it, and its caller wait for minutes.
        """
        reply = module.replies[command, reply_to]
        _log.info("a request came a second time", module_id=module.module_id, reply_to=reply_to)
        if reply is not None:
            self._broker.say(reply_to, reply)
