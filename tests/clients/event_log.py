"""What one client has seen, in order, and those who wait for more of it."""

import asyncio

from json_lines import Failure


class EventLog:
    def __init__(self):
        self._events = []
        self._waiting = set()

    def add(self, event, *args):
        entry = {"seq": len(self._events), "event": event, "args": list(args)}
        self._events.append(entry)
        for offer in list(self._waiting):
            offer(entry)

    def since(self, start=0, event=None):
        return [entry for entry in self._events[start:] if event in (None, entry["event"])]

    async def wait(self, event=None, count=1, start=0, match=None, timeout_ms=5000):
        """Returns once there are `count` events that match."""

        def wanted(entry):
            first = entry["args"][0] if entry["args"] else None
            return event in (None, entry["event"]) and (match is None or contains(first, match))

        found = [entry for entry in self._events[start:] if wanted(entry)][:count]
        enough = asyncio.Event()

        def offer(entry):
            if entry["seq"] >= start and len(found) < count and wanted(entry):
                found.append(entry)
            if len(found) >= count:
                enough.set()

        self._waiting.add(offer)
        try:
            if len(found) < count:
                await asyncio.wait_for(enough.wait(), timeout_ms / 1000)
        except asyncio.TimeoutError:
            last = [entry["event"] for entry in self._events[-10:]]
            raise Failure("timeout", event=event, seen=len(found), last=last) from None
        finally:
            self._waiting.discard(offer)
        return {"events": found, "next": found[-1]["seq"] + 1 if found else start}


def contains(actual, expected):
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and contains(actual[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) >= len(expected)
            and all(contains(*pair) for pair in zip(actual, expected))
        )
    # In Python, though not in JSON, true is 1.
    return actual == expected and isinstance(actual, bool) == isinstance(expected, bool)
