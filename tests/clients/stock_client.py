"""One stock python-socketio client, and the record of what it sees."""

import asyncio

import socketio

from event_log import EventLog
from json_lines import Failure

# socket.io-client's option, python-socketio's, and what turns the one's unit into the other's.
OPTIONS = [
    ("reconnection", "reconnection", 1),
    ("reconnectionAttempts", "reconnection_attempts", 1),
    ("reconnectionDelay", "reconnection_delay", 1 / 1000),
    ("reconnectionDelayMax", "reconnection_delay_max", 1 / 1000),
    ("randomizationFactor", "randomization_factor", 1),
]


def settings(options):
    known = {theirs: options[name] * unit for name, theirs, unit in OPTIONS if name in options}
    return {"reconnection": False, **known}


class StockClient:
    def __init__(self, request):
        self.request = request
        self.options = request.get("options") or {}
        self.namespace = request.get("namespace", "/")
        self.socket = socketio.AsyncClient(handle_sigint=False, **settings(self.options))
        self.log = EventLog()
        self.refusal = None
        # Coroutine that runs in the 'connect' handler.
        self.on_connect = None
        for event, handler in [
            ("*", self.log.add),
            ("connect", self._connected),
            ("disconnect", lambda reason=None: self.log.add("$disconnect", reason)),
            ("connect_error", self._refused),
        ]:
            self.socket.on(event, handler, namespace=self.namespace)

    async def _connected(self):
        # python-socketio knows no recovery of a session.
        self.log.add("$connect", self.socket_id(), False)
        if self.on_connect:
            await self.on_connect()

    def _refused(self, data=None, *_):
        known = data if isinstance(data, dict) else {"message": str(data)}
        self.refusal = {"message": known.get("message"), "data": known.get("data")}
        self.log.add("$connect_error", self.refusal["message"])

    def socket_id(self):
        return self.socket.get_sid(self.namespace) if self.namespace in self.socket.namespaces else None

    def transport(self):
        return self.socket.eio.current_transport

    async def connect(self, timeout_ms):
        """Returns the outcome: connected or refused."""
        timeout = timeout_ms / 1000
        attempt = self.socket.connect(
            self.request["url"],
            headers=dict(self.options.get("extraHeaders", {})),
            auth=self.request.get("auth"),
            transports=self.request.get("transports"),
            namespaces=[self.namespace],
            socketio_path=self.options.get("path", "socket.io").strip("/"),
            wait_timeout=timeout,
        )
        try:
            await asyncio.wait_for(attempt, timeout)
        except (asyncio.TimeoutError, socketio.exceptions.ConnectionError):
            if self.refusal is None:
                raise Failure("neither connected nor refused") from None
            return {"outcome": "refused", **self.refusal}
        return {"outcome": "connected", "socketId": self.socket_id(), "recovered": False}

    async def emit(self, event, args):
        # A tuple stands for several arguments.
        await self.socket.emit(event, tuple(args), namespace=self.namespace)

    async def emit_with_ack(self, event, args):
        """Returns the future list of the acknowledgement's arguments."""
        answer = asyncio.get_running_loop().create_future()

        def acknowledge(*values):
            if not answer.done():
                answer.set_result(list(values))

        await self.socket.emit(event, tuple(args), namespace=self.namespace, callback=acknowledge)
        return answer

    async def drop_transport(self):
        """As when the network goes: the TCP connections end and nothing is sent before."""
        await self.socket.eio.http.connector.close()

    async def hang_up(self):
        await self.socket.shutdown()
