"""A process that shares a circuit through Redis with the Python package purgatory.

It does the actions of its command line, then with --stdin one action a line, and
answers each with a line of JSON. The actions:

    register        obtain the breaker
    ok, fail, excluded
                    make a call that ends so; fail:3 makes three, and
                    fail:3@0.5 three that last half a second each
    begin:LABEL     start a call and leave it running
    end-ok:LABEL, end-fail:LABEL, end-excluded:LABEL
                    end it
    state           read the stored circuit
    raw             read the stored bytes
    sleep:SECONDS   wait

An answer has the action and the events since the last answer. What goes wrong is
answered as an error.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any, Optional, Union

from purgatory import AsyncCircuitBreakerFactory, AsyncRedisUnitOfWork, Event
from purgatory.domain.model import OpenedState
from purgatory.service._async.circuitbreaker import AsyncCircuitBreaker
from redis.asyncio import Redis

Answer = dict[str, Any]


class Failed(Exception):
    """An error that counts as a failure."""


class Excluded(Exception):
    """An error that does not."""


ENDINGS: dict[str, Optional[type[Exception]]] = {
    "ok": None,
    "fail": Failed,
    "excluded": Excluded,
}


class Peer:
    """One factory and one circuit of it."""

    def __init__(self, url: str, circuit: str, threshold: int, ttl: float) -> None:
        self.circuit, self.threshold, self.ttl = circuit, threshold, ttl
        self.redis = Redis.from_url(url)
        self.uow = AsyncRedisUnitOfWork(url)
        self.factory = AsyncCircuitBreakerFactory(exclude=[Excluded], uow=self.uow)
        self.factory.add_listener(self.on_event)
        self.events: list[Answer] = []
        self.running: dict[str, AsyncExitStack] = {}

    def on_event(self, circuit: str, kind: str, event: Event) -> None:
        fields = {name: value for name, value in vars(event).items() if name != "name"}
        self.events.append({"circuit": circuit, "kind": kind, **fields})

    async def do(self, action: str) -> Answer:
        try:
            answer = await self.results(action)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        events, self.events = self.events, []
        return {"action": action, **answer, "events": events}

    async def results(self, action: str) -> Answer:
        verb, _, argument = action.partition(":")
        if verb in ENDINGS:
            return await self.calls(verb, argument)
        if verb == "register":
            await self.breaker()
            return {"results": ["registered"]}
        if verb == "begin":
            return {"results": [await self.begin(label=argument)]}
        if verb.startswith("end-"):
            ending = verb.removeprefix("end-")
            return {"results": [await self.end(ending, label=argument)]}
        if verb == "state":
            return await self.state()
        if verb == "raw":
            return await self.raw()
        if verb == "sleep":
            await asyncio.sleep(float(argument))
            return {}
        raise ValueError("no such action")

    async def calls(self, ending: str, argument: str) -> Answer:
        count, _, seconds = argument.partition("@")
        results = [
            await self.call(ending, float(seconds or 0)) for _ in range(int(count or 1))
        ]
        rejected = results.count("rejected")
        return {
            "results": results,
            "permitted": len(results) - rejected,
            "rejected": rejected,
        }

    async def call(self, ending: str, seconds: float) -> str:
        try:
            async with await self.breaker():
                await asyncio.sleep(seconds)
                if error := ENDINGS[ending]:
                    raise error
        except OpenedState:
            return "rejected"
        except Failed:
            return "failed"
        except Excluded:
            return "excluded"
        return "ok"

    async def begin(self, label: str) -> str:
        call = AsyncExitStack()
        try:
            await call.enter_async_context(await self.breaker())
        except OpenedState:
            return "rejected"
        self.running[label] = call
        return "permitted"

    async def end(self, ending: str, label: str) -> str:
        with suppress(Failed, Excluded):
            async with self.running.pop(label):
                if error := ENDINGS[ending]:
                    raise error
        return "ended"

    async def breaker(self) -> AsyncCircuitBreaker:
        return await self.factory.get_breaker(self.circuit, self.threshold, self.ttl)

    async def state(self) -> Answer:
        context = await self.uow.contexts.get(self.circuit)
        if context is None:
            return {"state": None}
        return {
            "state": context.state,
            "failure_count": context.failure_count,
            "opened_at": context.opened_at,
            "threshold": context.threshold,
            "ttl": context.ttl,
        }

    async def raw(self) -> Answer:
        key = f"cbr::{self.circuit}"
        return {
            "key": key,
            "value": text(await self.redis.get(key)),
            "counter": text(await self.redis.get(f"{key}::failure_count")),
            "pttl": await self.redis.pttl(key),
        }


def text(stored: Optional[bytes]) -> Optional[str]:
    return None if stored is None else stored.decode(errors="backslashreplace")


def number(argument: str) -> Union[int, float]:
    """A ttl as it would be in a program: the package stores 30 and 30.0 as they are."""
    try:
        return int(argument)
    except ValueError:
        return float(argument)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--circuit", required=True)
    parser.add_argument("--threshold", type=int, default=5)
    parser.add_argument("--ttl", type=number, default=30)
    parser.add_argument("actions", nargs="*", metavar="ACTION")
    parser.add_argument("--stdin", action="store_true")
    return parser.parse_args()


async def actions(args: argparse.Namespace) -> AsyncIterator[str]:
    for action in args.actions:
        yield action
    if args.stdin:
        while line := await asyncio.to_thread(sys.stdin.readline):
            yield line.strip()


async def main() -> int:
    args = arguments()
    peer = Peer(args.url, args.circuit, args.threshold, args.ttl)
    await peer.factory.initialize()
    failed = False
    async for action in actions(args):
        answer = await peer.do(action)
        failed |= "error" in answer
        print(json.dumps(answer), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
