"""Drives a SLOP server with the published Python package `slop-ai` 0.2.0, unmodified.

The script of actions is `examples/interop/steps.json`; `examples/interop/rust` runs the same one on the published Rust crate.
After every action each mirror must equal a fresh query of the same path and depth. The first difference is
printed and ends the run with exit code 1.

    python drive.py --url ws://127.0.0.1:3000/slop --token TOKEN --app desk --rounds 3 --concurrent 4
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import sys
from pathlib import Path
from typing import Any, Awaitable, Callable, Sequence
from urllib.parse import quote, urlsplit

from slop_ai import Affordance, ContentRef, NodeMeta, SlopConsumer, SlopNode
from slop_ai.transports.ws_client import WebSocketClientTransport

REQUEST_S = 30.0
SETTLE_S = 10.0
CATCH_UP_S = 60.0
"""How long a consumer may need for what it could not read in time."""
LOOK_AGAIN_S = 0.025
SLOW_READ_BYTES = 4096
SHOWN_DIFFERENCES = 20
ABSENT: Any = object()


class Failed(Exception):
    """The server, or the peer's view of it, is not what the script expects."""


# ---------------------------------------------------------------- the tree as plain JSON


def plain(node: SlopNode) -> dict[str, Any]:
    """The node as JSON, whatever mixture of typed and plain values the mirror holds."""
    out: dict[str, Any] = {"id": node.id, "type": node.type}
    if node.properties is not None:
        out["properties"] = node.properties
    # No patch can take the `children` field away again: the `children` keyword is not understood by this peer
    # (wire contract 1.6). A list that became empty is the same tree as no list.
    if node.children:
        out["children"] = [plain(child) for child in node.children]
    # A patch of these fields leaves plain lists and dicts where a snapshot gives typed values (wire contract 1.6
    # and T4), and the typed ones leave out what is at its default. Read both the same way.
    if node.affordances is not None:
        out["affordances"] = [as_typed(Affordance, one) for one in node.affordances]
    if node.meta is not None:
        out["meta"] = as_typed(NodeMeta, node.meta)
    if node.content_ref is not None:
        out["content_ref"] = as_typed(ContentRef, node.content_ref)
    return out


def as_typed(kind: Any, value: Any) -> dict[str, Any]:
    return (kind.from_dict(value) if isinstance(value, dict) else value).to_dict()


def same(a: Any, b: Any) -> bool:
    """Equality of JSON: unlike Python's `==`, `1` is neither `1.0` nor `true`."""
    if a is ABSENT or b is ABSENT:
        return a is b
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def differences(mirror: Any, fresh: Any, at: str = "") -> list[str]:
    """One line for each place where the two differ."""
    if same(mirror, fresh):
        return []
    if isinstance(mirror, dict) and isinstance(fresh, dict):
        keys = list(mirror) + [key for key in fresh if key not in mirror]
        pairs = [(key, mirror.get(key, ABSENT), fresh.get(key, ABSENT)) for key in keys]
        return [line for key, a, b in pairs for line in differences(a, b, f"{at}/{key}")]
    if isinstance(mirror, list) and isinstance(fresh, list):
        names = ids(mirror), ids(fresh)
        if None not in names and names[0] != names[1]:
            return [f"{at}: mirror has {names[0]}", f"{at}: query has  {names[1]}"]
        if len(mirror) == len(fresh):
            labels = names[0] or range(len(mirror))
            return [line for k, a, b in zip(labels, mirror, fresh) for line in differences(a, b, f"{at}[{k}]")]
    return [f"{at}: mirror has {brief(mirror)}", f"{at}: query has  {brief(fresh)}"]


def ids(items: list[Any]) -> list[str] | None:
    named = all(isinstance(item, dict) and "id" in item for item in items)
    return [item["id"] for item in items] if named else None


def brief(value: Any) -> str:
    text = "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + " ..."


def contains(whole: Any, part: Any) -> bool:
    """Whether `part` is in `whole`: objects may hold more, lists must match item by item."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return same(whole, part)


def node_at(tree: dict[str, Any], path: str) -> dict[str, Any] | None:
    node: dict[str, Any] | None = tree
    for part in filter(None, path.split("/")):
        node = next((child for child in node.get("children", []) if child["id"] == part), None)
        if node is None:
            return None
    return node


# ---------------------------------------------------------------- one consumer


class Peer:
    """One connection of the unmodified consumer with its subscriptions."""

    def __init__(self, url: str, app: dict[str, Any]) -> None:
        self.app = app
        self.consumer = SlopConsumer(WebSocketClientTransport(url), timeout=REQUEST_S)
        self.subscriptions: list[tuple[str, dict[str, Any]]] = []
        self.errors: dict[str, str] = {}
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.gaps: list[str] = []
        self.closed = asyncio.Event()
        self.leaving = False
        self.consumer.on_disconnect(self.closed.set)
        self.consumer.on_error(lambda message: self.errors.update({message.get("id", ""): message["error"]["code"]}))
        self.consumer.on_event(lambda name, _data: self.events.put_nowait(name))
        self.consumer.on_gap(lambda sub, want, got: self.gaps.append(f"{sub}: expected seq {want}, got {got}"))

    @classmethod
    async def connect(cls, url: str, app: dict[str, Any]) -> Peer:
        peer = cls(url, app)
        hello = await peer.ask(peer.consumer.connect())
        if hello.get("provider", {}).get("slop_version") != "0.1":
            raise Failed(f"unexpected hello: {brief(hello)}")
        for sub in app["subscriptions"]:
            answer = await peer.ask(peer.consumer.subscribe(sub["path"], sub["depth"]))
            peer.subscriptions.append((answer["id"], sub))
        return peer

    async def ask(self, request: Awaitable[Any]) -> Any:
        """A request never settles once the socket has closed, so wait for that too."""
        asked = asyncio.ensure_future(request)
        closing = asyncio.ensure_future(self.closed.wait())
        await asyncio.wait({asked, closing}, return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if asked.done():
            try:
                return await asked
            except asyncio.TimeoutError:
                raise Failed(f"no answer within {REQUEST_S:.0f} s") from None
        asked.cancel()
        raise Failed("the server closed the connection during a request")

    def mirror(self, number: int = 0) -> dict[str, Any]:
        if self.gaps:
            raise Failed("a patch is missing: " + "; ".join(self.gaps))
        if self.closed.is_set() and not self.leaving:
            raise Failed("the server closed the connection")
        tree = self.consumer.get_tree(self.subscriptions[number][0])
        if tree is None:
            raise Failed(f"no mirror for {self.subscriptions[number][1]}")
        # Texts, so that what a later patch does to the mirror does not change what was seen.
        return json.loads(json.dumps(plain(tree)))

    def mirrors(self) -> list[dict[str, Any]]:
        return [self.mirror(number) for number in range(len(self.subscriptions))]

    async def query(self, path: str, depth: int) -> dict[str, Any] | str:
        """The tree, or the code of the error that came instead."""
        self.errors = {key: code for key, code in self.errors.items() if not key.startswith("q-")}
        try:
            return plain(await self.ask(self.consumer.query(path, depth)))
        except RuntimeError:
            # The exception of this peer carries the message only; the code is in the error callback.
            return next(code for key, code in self.errors.items() if key.startswith("q-"))

    async def check_mirrors(self, seen: list[dict[str, Any]], patience: float) -> None:
        """Every mirror equals a fresh query: `seen` at once, or the mirror within `patience` seconds."""
        for number, (_, sub) in enumerate(self.subscriptions):
            mirror = seen[number]

            async def compare() -> list[str]:
                nonlocal mirror
                fresh = await self.query(sub["path"], sub["depth"])
                # A subscription whose node is away keeps what it had and hears of it again by a new
                # snapshot (wire contract 1.5).
                if fresh == "not_found" and sub.get("vanishes"):
                    return []
                found = differences(mirror, fresh)
                mirror = self.mirror(number)
                return found

            found = await eventually(compare, patience)
            if found:
                shown = "\n  ".join(found[:SHOWN_DIFFERENCES])
                raise Failed(f"mirror of {sub['path']} depth {sub['depth']} is not what a query says:\n  {shown}")

    async def close(self) -> None:
        self.leaving = True
        self.consumer.disconnect()
        await asyncio.wait_for(self.closed.wait(), REQUEST_S)


async def eventually(find: Callable[[], Awaitable[list[str]]], patience: float) -> list[str]:
    """What `find` still complains about after `patience` seconds; with 0 it looks once."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while True:
        found = await find()
        if not found or loop.time() >= end:
            return found
        await asyncio.sleep(LOOK_AGAIN_S)


# ---------------------------------------------------------------- the script


def fill(value: Any, known: dict[str, str], tree: dict[str, Any]) -> Any:
    """Puts values in for `${name}` and for `{"$reversed_children": path}`."""
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: str(known[found[1]]), value)
    if isinstance(value, list):
        return [fill(item, known, tree) for item in value]
    if isinstance(value, dict):
        if "$reversed_children" in value:
            node = node_at(tree, value["$reversed_children"]) or {}
            return [child["id"] for child in reversed(node.get("children", []))]
        return {key: fill(item, known, tree) for key, item in value.items()}
    return value


class Run:
    """The whole run against one server, and the count of what it checked."""

    def __init__(self, url: str, app: dict[str, Any]) -> None:
        self.url = url
        self.app = app
        self.passed = 0
        # Where only the caller changes its tree, the mirror must be right the moment the result is there. Elsewhere
        # somebody else's change may lie between the mirror and the query.
        self.patience = 0.0 if app["quiet"] else SETTLE_S

    async def step(self, peer: Peer, step: dict[str, Any], known: dict[str, str], compare: bool = True) -> None:
        path = fill(step["path"], known, {})
        name = f"{step['action']} on {path}"
        params = fill(step.get("params"), known, peer.mirror())
        settle = SETTLE_S if step.get("settle") else self.patience
        try:
            result = await peer.ask(peer.consumer.invoke(path, step["action"], params))
            seen = peer.mirrors()
            self.check_result(step, result)
            known.update({key: result["data"][field] for key, field in step.get("save", {}).items()})
            if "event" in step:
                await self.wait_for_event(peer, step["event"])
            if "see" in step:
                await self.check_effect(peer, seen[0], fill(step["see"], known, {}), step.get("settle", False))
            if compare:
                await peer.check_mirrors(seen if not settle else peer.mirrors(), settle)
        except Failed as failure:
            raise Failed(f"{name} with {brief(params)}: {failure}") from None
        self.passed += 1

    @staticmethod
    def check_result(step: dict[str, Any], result: dict[str, Any]) -> None:
        want = step.get("status", "ok")
        if result.get("status") != want:
            raise Failed(f"expected status {want}, got {brief(result)}")
        if "code" in step and result["error"]["code"] != step["code"]:
            raise Failed(f"expected code {step['code']}, got {brief(result['error'])}")
        if "data" in step and not contains(result.get("data"), step["data"]):
            raise Failed(f"expected data {brief(step['data'])}, got {brief(result)}")

    @staticmethod
    async def wait_for_event(peer: Peer, name: str) -> None:
        try:
            while await asyncio.wait_for(peer.events.get(), SETTLE_S) != name:
                pass
        except asyncio.TimeoutError:
            raise Failed(f"event {name} did not arrive") from None

    @staticmethod
    async def check_effect(peer: Peer, seen: dict[str, Any], see: dict[str, Any], settle: bool) -> None:
        """The patches of an action come before its result, so its effect is in the mirror (wire contract 1.8)."""
        tree = seen

        async def look() -> list[str]:
            nonlocal tree
            node = node_at(tree, see["node"])
            tree = peer.mirror()
            good = node is None if see.get("absent") else contains(node, see["is"])
            got = brief(ABSENT if node is None else node)
            return [] if good else [f"expected {see['node']} {brief(see.get('is', ABSENT))}, got {got}"]

        found = await eventually(look, SETTLE_S if settle else 0.0)
        if found:
            raise Failed("not in the mirror when the result came: " + found[0])

    async def steps(self, peer: Peer, steps: list[dict[str, Any]], followers: Sequence[Peer] = ()) -> None:
        known = {"n": "1"}
        for step in steps:
            await self.step(peer, step, known)
            for number, follower in enumerate(followers, 2):
                try:
                    await follower.check_mirrors(follower.mirrors(), SETTLE_S)
                except Failed as failure:
                    raise Failed(f"consumer {number}, after {step['action']} of consumer 1: {failure}") from None
                self.passed += 1

    async def reads(self, peer: Peer) -> None:
        for read in self.app["reads"]:
            async def compare() -> list[str]:
                answer = await peer.query(read["path"], -1)
                if "code" in read:
                    return [] if answer == read["code"] else [f"expected {read['code']}, got {brief(answer)}"]
                return differences(answer, await peer.query(read["like"], -1))

            found = await eventually(compare, self.patience)
            if found:
                raise Failed(f"query {read}: " + "\n  ".join(found[:SHOWN_DIFFERENCES]))
            self.passed += 1

    async def agree(self, peer: Peer, patience: float) -> None:
        await peer.check_mirrors(peer.mirrors(), patience)
        self.passed += 1

    async def round(self) -> None:
        """All steps, then a new connection, which must find the session as the old one left it."""
        peer = await Peer.connect(self.url, self.app)
        await self.agree(peer, self.patience)
        await self.steps(peer, self.app["steps"])
        await self.reads(peer)
        before = peer.mirror()
        await peer.close()
        again = await Peer.connect(self.url, self.app)
        if self.app["quiet"] and (found := differences(before, again.mirror())):
            raise Failed("a new connection sees another tree:\n  " + "\n  ".join(found[:SHOWN_DIFFERENCES]))
        await self.agree(again, self.patience)
        await again.close()

    async def slow_reader(self) -> None:
        """A consumer whose socket is not read for a while catches up and misses nothing."""
        async with SlowLink(self.url) as link:
            slow, quick = await Peer.connect(link.url, self.app), await Peer.connect(self.url, self.app)
            link.reading.clear()
            await self.steps(quick, self.app["slow"])
            link.reading.set()
            await self.agree(slow, CATCH_UP_S)
            await slow.close()
            await quick.close()

    async def concurrent(self, count: int) -> None:
        """Several consumers of one session: first one acts and the others follow, then all act at once."""
        peers = [await Peer.connect(self.url, self.app) for _ in range(count)]
        await self.steps(peers[0], self.app["steps"], followers=peers[1:])

        async def act(number: int, peer: Peer) -> None:
            known = {"n": str(number)}
            for step in self.app["together"]:
                await self.step(peer, step, known, compare=False)

        await asyncio.gather(*(act(number, peer) for number, peer in enumerate(peers, 1)))
        for peer in peers:
            await self.agree(peer, SETTLE_S)
            await peer.close()

    async def last(self) -> None:
        if self.app["last"]:
            peer = await Peer.connect(self.url, self.app)
            await self.steps(peer, self.app["last"])
            await peer.close()

    async def all(self, rounds: int, concurrent: int) -> None:
        for number in range(1, rounds + 1):
            await self.phase(f"round {number}", self.round())
        await self.phase("slow reader", self.slow_reader())
        if concurrent > 1:
            await self.phase(f"{concurrent} consumers", self.concurrent(concurrent))
        await self.phase("last steps", self.last())

    async def phase(self, name: str, work: Awaitable[None]) -> None:
        before = self.passed
        try:
            await work
        except Failed as failure:
            raise Failed(f"{name}: {failure}") from None
        print(f"{name}: {self.passed - before} passed", flush=True)


class SlowLink:
    """A TCP proxy that can stop reading from the server, with small buffers, so that the server feels it."""

    def __init__(self, url: str) -> None:
        self.upstream = urlsplit(url)
        self.reading = asyncio.Event()
        self.reading.set()
        self.pumps: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> SlowLink:
        self.server = await asyncio.start_server(self.carry, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.url = self.upstream._replace(netloc=f"127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.server.close()
        for pump in self.pumps:
            pump.cancel()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self.upstream.hostname, self.upstream.port or 80
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_READ_BYTES)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        from_server, to_server = await asyncio.open_connection(sock=sock, limit=SLOW_READ_BYTES)
        self.pumps += [
            asyncio.create_task(self.pump(reader, to_server, None)),
            asyncio.create_task(self.pump(from_server, writer, self.reading)),
        ]

    @staticmethod
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event | None) -> None:
        try:
            while True:
                if gate is not None:
                    await gate.wait()
                data = await reader.read(SLOW_READ_BYTES)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="ws://HOST:PORT/slop")
    parser.add_argument("--token", required=True, help="credential, sent as the query parameter `token`")
    parser.add_argument("--app", required=True, choices=["desk", "conformance"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrent", type=int, default=4, help="consumers on the same session")
    parser.add_argument("--steps", type=Path, default=Path(__file__).resolve().parent.parent / "steps.json")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    app = json.loads(args.steps.read_text(encoding="utf-8"))[args.app]
    separator = "&" if "?" in args.url else "?"
    run = Run(f"{args.url}{separator}token={quote(args.token, safe='')}", app)
    try:
        asyncio.run(run.all(args.rounds, args.concurrent))
    except Exception as failure:  # whatever it is, the last line is the count
        kind = "" if isinstance(failure, Failed) else f"{type(failure).__name__}: "
        print(f"MISMATCH {kind}{failure}")
        print(f"{run.passed} passed, 1 failed")
        return 1
    print(f"{run.passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
