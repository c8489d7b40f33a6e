"""Stock python-socketio clients by name, steered like driver.mjs by lines of JSON."""

import asyncio
import json
import sys

import socketio

clients = {}


class Client:
    def __init__(self):
        self.socket = socketio.AsyncClient(reconnection=False)
        self.events = []
        self.changed = asyncio.Condition()
        self.socket.on("*", self.record)
        self.socket.on("disconnect", lambda reason=None: self.record("$disconnect", reason))

    async def record(self, event, *args):
        self.events.append({"seq": len(self.events), "event": event, "args": list(args)})
        async with self.changed:
            self.changed.notify_all()

    def since(self, start, event):
        return [entry for entry in self.events[start:] if event in (None, entry["event"])]


async def connect(request):
    client = Client()
    clients[request["client"]] = client
    refused = {}

    async def remember(data):
        refused["message"] = data.get("message") if isinstance(data, dict) else str(data)

    client.socket.on("connect_error", remember)
    try:
        await client.socket.connect(
            request["url"], auth=request["auth"], transports=request["transports"], wait_timeout=10
        )
    except socketio.exceptions.ConnectionError as error:
        return {"outcome": "refused", "message": refused.get("message", str(error))}
    return {"outcome": "connected", "socketId": client.socket.get_sid()}


async def emit(request):
    socket = clients[request["client"]].socket
    data = tuple(request.get("args", []))
    if not request.get("ack"):
        await socket.emit(request["event"], data)
        return {}
    answer = await socket.call(request["event"], data, timeout=request.get("timeoutMs", 5000) / 1000)
    return {"ack": [answer]}


async def wait(request):
    client = clients[request["client"]]
    start, count = request.get("from", 0), request.get("count", 1)
    enough = lambda: len(client.since(start, request["event"])) >= count
    async with client.changed:
        await asyncio.wait_for(client.changed.wait_for(enough), request.get("timeoutMs", 5000) / 1000)
    found = client.since(start, request["event"])[:count]
    return {"events": found, "next": found[-1]["seq"] + 1}


async def events(request):
    return {"events": clients[request["client"]].since(request.get("from", 0), request.get("event"))}


async def state(request):
    socket = clients[request["client"]].socket
    return {"connected": socket.connected, "transport": socket.transport()}


async def disconnect(request):
    await clients[request["client"]].socket.disconnect()
    return {}


OPERATIONS = {
    "connect": connect,
    "emit": emit,
    "wait": wait,
    "events": events,
    "state": state,
    "disconnect": disconnect,
}


async def answer(request):
    try:
        outcome = {"ok": True, **await OPERATIONS[request["op"]](request)}
    except Exception as error:  # whatever it is, the test has to see it
        outcome = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps({"id": request["id"], **outcome}) + "\n")
    sys.stdout.flush()


async def main():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    running = set()
    while line := await reader.readline():
        task = asyncio.create_task(answer(json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
