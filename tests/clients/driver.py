"""Stock python-socketio clients by name, steered like driver.mjs by lines of JSON."""

import asyncio
import json
import time

from json_lines import Failure, revive, serve
from stock_client import StockClient

clients = {}


def client(request):
    if request["client"] not in clients:
        raise Failure(f"no client {request['client']}")
    return clients[request["client"]]


def starting_with(prefix):
    return {name: member for name, member in clients.items() if name.startswith(prefix)}


def some_starting_with(prefix):
    """A prefix that fits nobody is a mistake in the test, not a success for all of none."""
    members = starting_with(prefix)
    if not members:
        raise Failure(f"no client's name starts with {prefix}")
    return members


async def create(request):
    """A name that is used again drops its former client."""
    former = clients.get(request["client"])
    created = clients[request["client"]] = StockClient(request)
    if former:
        await former.hang_up()
    return created


async def connect(request):
    created = await create(request)
    attempt = created.connect(request.get("timeoutMs", 10_000))
    if request.get("wait", True):
        return await attempt
    in_background(attempt)
    return {}


background = set()


def in_background(attempt):
    async def unless_it_fails():
        try:
            await attempt
        except Failure:
            pass  # The log of the client tells.

    # The event loop itself holds its tasks only weakly.
    task = asyncio.create_task(unless_it_fails())
    background.add(task)
    task.add_done_callback(background.discard)


class Joining:
    """One client of many, that joins in its 'connect' handler."""

    def __init__(self, many, index):
        auth_list = many.get("authList")
        auth = auth_list[index % len(auth_list)] if auth_list else many.get("auth")
        self.request = {**many, "client": f"{many['prefix']}{index}", "auth": auth}
        self.connected = self.joined = False
        self.reason = "timeout"
        self.answer = None

    async def run(self, timeout_ms):
        created = await create(self.request)
        created.on_connect = lambda: self._on_connect(created)
        try:
            outcome = await created.connect(timeout_ms)
        except Failure as failure:
            self.reason = str(failure)
            return
        if outcome["outcome"] == "refused":
            self.reason = outcome["message"]
        elif self.answer:
            self._judge(await self.answer)

    async def _on_connect(self, created):
        if self.connected:
            return  # It came back: it has joined before.
        self.connected = True
        if "joinEvent" in self.request:
            self.reason = "no acknowledgement"
            payload = [self.request["joinPayload"]] if "joinPayload" in self.request else []
            self.answer = await created.emit_with_ack(self.request["joinEvent"], payload)

    def _judge(self, answer):
        self.joined = succeeded(answer)
        if not self.joined:
            self.reason = json.dumps(answer[0] if answer else None)

    def is_done(self):
        return self.joined if "joinEvent" in self.request else self.connected


def succeeded(answer):
    return bool(answer) and isinstance(answer[0], dict) and bool(answer[0].get("ok"))


async def connect_many(request):
    began, timeout_ms = time.monotonic(), request.get("timeoutMs", 60_000)
    all_of_them = [Joining(request, index) for index in range(request["count"])]
    running = [asyncio.create_task(joining.run(timeout_ms)) for joining in all_of_them]
    _, late = await asyncio.wait(running, timeout=timeout_ms / 1000)
    for task in late:
        task.cancel()
    failed = [joining for joining in all_of_them if not joining.is_done()]
    return {
        "connected": sum(joining.connected for joining in all_of_them),
        "joined": sum(joining.joined for joining in all_of_them),
        "failed": [{"client": joining.request["client"], "reason": joining.reason} for joining in failed[:20]],
        "ms": milliseconds_since(began),
    }


def milliseconds_since(began):
    return round((time.monotonic() - began) * 1000)


async def emit(request):
    args = revive(request.get("args", []))
    if not request.get("ack"):
        return await client(request).emit(request["event"], args)
    answer = await client(request).emit_with_ack(request["event"], args)
    try:
        return {"ack": await asyncio.wait_for(answer, request.get("timeoutMs", 5000) / 1000)}
    except asyncio.TimeoutError:
        raise Failure("ack timeout") from None


def place(target, path, value):
    *keys, last = path.split(".")
    for key in keys:
        target = target[key]
    target[last] = value


def numbered_args(request, index):
    args = revive(request["args"])
    if "counterPath" in request:
        place(args[0], request["counterPath"], request.get("start", 0) + index)
    return args


async def emit_many(request):
    began, sender, event = time.monotonic(), client(request), request["event"]
    errors, answers = [], []
    for index in range(request["count"]):
        args = numbered_args(request, index)
        if request.get("ack", True):
            answers.append(await sender.emit_with_ack(event, args))
        else:
            await sender.emit(event, args)
    if answers:
        await asyncio.wait(answers, timeout=request.get("timeoutMs", 60_000) / 1000)
    for answer in answers:
        if not answer.done():
            errors.append("ack timeout")
        elif not succeeded(answer.result()):
            errors.append(answer.result()[0] if answer.result() else None)
    acked = len(answers) - len(errors)
    return {"acked": acked, "errors": errors[:20], "failed": len(errors), "ms": milliseconds_since(began)}


async def events(request):
    return {"events": client(request).log.since(request.get("from", 0), request.get("event"))}


async def wait(request):
    return await client(request).log.wait(
        event=request.get("event"),
        count=request.get("count", 1),
        start=request.get("from", 0),
        match=request.get("match"),
        timeout_ms=request.get("timeoutMs", 5000),
    )


async def wait_all(request):
    members = some_starting_with(request["prefix"])

    async def lag(name, member):
        try:
            await member.log.wait(request["event"], request["count"], timeout_ms=request.get("timeoutMs", 5000))
        except Failure as failure:
            return {"client": name, **failure.details}

    lags = await asyncio.gather(*(lag(*entry) for entry in members.items()))
    behind = [entry for entry in lags if entry]
    progress = {"clients": len(members), "done": len(members) - len(behind)}
    if behind:
        raise Failure("timeout", **progress, behind=behind[:5])
    return progress


def value_at(args, path):
    value = args[0] if args else None
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def is_increasing(values):
    return None not in values and all(earlier < later for earlier, later in zip(values, values[1:]))


def distinct_count(values):
    return len({json.dumps(value) for value in values})


async def sequences(request):
    """The values at `path` of every client's events, as far as they differ between clients."""
    path = request["path"]
    members = some_starting_with(request["prefix"]).values()
    lists = [[value_at(entry["args"], path) for entry in member.log.since(0, request["event"])] for member in members]
    distinct = list({json.dumps(values): values for values in lists}.values())
    lengths = [len(values) for values in lists]
    return {
        "clients": len(lists),
        "distinctOrders": len(distinct),
        "orders": [values[:5000] for values in distinct[:3]],
        "lengths": {"min": min(lengths), "max": max(lengths)},
        "ordered": all(is_increasing(values) for values in distinct),
        "duplicates": sum(len(values) - distinct_count(values) for values in lists),
    }


async def counts(request):
    members = starting_with(request["prefix"]).values()
    return {"connected": sum(member.socket.connected for member in members), "total": len(members)}


async def state(request):
    member = client(request)
    return {
        "connected": member.socket.connected,
        "socketId": member.socket_id(),
        "recovered": False,
        "transport": member.transport(),
    }


async def transport(request):
    return {"transport": client(request).transport()}


async def drop_transport(request):
    await client(request).drop_transport()


async def disconnect(request):
    await client(request).hang_up()


async def disconnect_all(request):
    await asyncio.gather(*(member.hang_up() for member in starting_with(request["prefix"]).values()))


serve(
    {
        "connect": connect,
        "connectMany": connect_many,
        "emit": emit,
        "emitMany": emit_many,
        "events": events,
        "wait": wait,
        "waitAll": wait_all,
        "sequences": sequences,
        "counts": counts,
        "state": state,
        "transport": transport,
        "dropTransport": drop_transport,
        "disconnect": disconnect,
        "disconnectAll": disconnect_all,
    }
)
