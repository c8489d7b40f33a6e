"""Requests and answers, one JSON object a line. Requests run side by side, so that one
that waits holds up no other."""

import asyncio
import base64
import json
import os
import sys
import traceback

# Payloads of many megabytes come in one line.
LONGEST_LINE = 256 * 1024 * 1024


class Failure(Exception):
    """An error whose details become members of the answer."""

    def __init__(self, message, **details):
        super().__init__(message)
        self.details = details


def serve(operations):
    asyncio.run(_serve(operations))


async def _serve(operations):
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_end_on_exception)
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    running = set()
    while line := await reader.readline():
        request = json.loads(line)
        if request["op"] == "quit":
            _write({"id": request["id"], "ok": True})
            break
        task = asyncio.create_task(_answer(operations, request))
        running.add(task)
        task.add_done_callback(running.discard)
    # The test has gone, or has no more to ask. An orderly end would wait for the clients' loops.
    os._exit(0)


async def _answer(operations, request):
    try:
        if request["op"] not in operations:
            raise Failure(f"no operation {request['op']}")
        _write({"id": request["id"], "ok": True, **(await operations[request["op"]](request) or {})})
    except Failure as failure:
        _write({"id": request["id"], "ok": False, "error": str(failure), **failure.details})
    except Exception as error:  # whatever it is, the test has to see it
        _write({"id": request["id"], "ok": False, "error": f"{type(error).__name__}: {error}"})


def _end_on_exception(loop, context):
    # Without an exception it is a mere warning, of a session that was not closed for example.
    if "exception" not in context:
        return
    print(context["message"], file=sys.stderr)
    traceback.print_exception(context["exception"])
    sys.stderr.flush()
    os._exit(1)


def _write(value):
    sys.stdout.write(json.dumps(value, default=_binary_as_text) + "\n")
    sys.stdout.flush()


def _binary_as_text(value):
    if isinstance(value, (bytes, bytearray)):
        return {"$binary": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def revive(value):
    """The other direction; always a deep copy."""
    if isinstance(value, list):
        return [revive(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if "$binary" in value:
        return base64.b64decode(value["$binary"])
    return {key: revive(inner) for key, inner in value.items()}
