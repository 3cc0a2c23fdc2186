#!/usr/bin/env python3
"""An agent in one file, without dependencies: it executes runs of a Grove server's rooms.

    python3 agent.py --url ws://127.0.0.1:3000/agents --token TOKEN --agent summary

Write what your agent does in `execute`; the rest connects, and connects again when the connection is lost. The session of
the token needs the permission `agent:NAME`. A run whose connection is lost is dispatched again, here or to another program
of the same name, so what an agent does outside must be repeatable: `dispatch["call_id"]` is the same for all attempts.
"""

import argparse
import asyncio
import base64
import json
import os
import random
import signal
import struct
import sys
import urllib.parse


async def execute(run):
    """Streams the words of a text, and says how many there are. With `{"ask": true}` it waits for an input first."""
    given = run.input if isinstance(run.input, dict) else {}
    if given.get("ask"):
        await run.chunk("which text? ")
        given = {**given, "text": str(await run.next_input())}
    words = str(given.get("text", "")).split()
    for at, word in enumerate(words, start=1):
        await run.chunk(word + " ")
        await run.progress(at / len(words), f"{at} of {len(words)} words")
        await asyncio.sleep(given.get("pause_ms", 0) / 1000)
    return {"words": len(words), "attempt": run.attempt, "process": os.getpid(), "memory": run.memory}


class RunError(Exception):
    """Raise it to fail a run. `retryable` says that trying again may help."""

    def __init__(self, code, message, retryable=False):
        super().__init__(message)
        self.code, self.message, self.kind = code, message, "retryable" if retryable else "permanent"


class Run:
    """What an agent holds while it runs. Whatever it says is a sign of life."""

    def __init__(self, link, dispatch):
        self.link, self.dispatch = link, dispatch
        self.id, self.attempt = dispatch["run"], dispatch["attempt"]
        self.input, self.memory = dispatch.get("input"), dispatch.get("memory", {})
        self.inputs = asyncio.Queue(256)

    async def say(self, kind, **more):
        await self.link.send({"type": kind, "run": self.id, "attempt": self.attempt, **more})

    async def chunk(self, text):
        await self.say("chunk", text=text)

    async def progress(self, fraction, message=""):
        await self.say("progress", progress=fraction, message=message)

    async def working(self):
        await self.say("working")

    async def next_input(self):
        return await self.inputs.get()


class Link:
    """One WebSocket connection (RFC 6455), as far as an agent needs it."""

    LARGEST = 16 << 20

    def __init__(self, reader, writer):
        self.reader, self.writer, self.writing = reader, writer, asyncio.Lock()
        self.is_welcome = False

    @classmethod
    async def open(cls, url, token):
        parts = urllib.parse.urlsplit(url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=parts.scheme == "wss" or None)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path or '/agents'} HTTP/1.1", f"Host: {parts.netloc}", "Connection: Upgrade",
            "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}",
            f"Authorization: Bearer {token}",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = head.split(" ", 2)[1]
        if status != "101":
            writer.close()
            if status in ("401", "403", "404"):
                sys.exit(f"the server refused the connection with status {status}")
            raise ConnectionError(f"status {status}")
        return cls(reader, writer)

    async def send(self, message):
        await self.write(0x1, json.dumps(message).encode())

    async def write(self, opcode, payload):
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        mask = os.urandom(4)
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")).to_bytes(size, "big")
        async with self.writing:
            self.writer.write(head + mask + masked)
            await self.writer.drain()

    async def frame(self):
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        if size > self.LARGEST:
            raise ConnectionError("the message is too large")
        return first & 0x80, first & 0x0F, await self.reader.readexactly(size)

    async def receive(self):
        """The next message; None at the end."""
        parts = []
        while True:
            is_last, opcode, payload = await self.frame()
            if opcode == 0x8:
                await self.write(0x8, payload[:2])
                return None
            if opcode == 0x9:
                await self.write(0xA, payload)
            elif opcode != 0xA:
                parts.append(payload)
                if is_last:
                    return json.loads(b"".join(parts))


async def attend(run):
    """Executes one attempt at a run, and says what came of it."""
    await run.say("ack")
    try:
        output = await execute(run)
    except RunError as error:
        await run.say("error", code=error.code, message=error.message, **{"class": error.kind})
    except Exception as error:  # Whatever it is: the room is told that it failed, and the log why.
        print(f"run {run.id}: {error!r}", file=sys.stderr)
        await run.say("error", code="internal", message="the agent failed")
    else:
        await run.say("result", output=output)


async def serve(link, agent, concurrency):
    """Takes what the server says, until the connection ends."""
    await link.send({"type": "ready", "agent": agent, "concurrency": concurrency})
    runs, tasks = {}, {}
    try:
        while (message := await link.receive()) is not None:
            kind, about = message["type"], (message.get("run"), message.get("attempt"))
            if kind == "welcome":
                link.is_welcome = True
                print(f"ready as {agent}", flush=True)
            elif kind == "dispatch":
                runs[about] = Run(link, message)
                tasks[about] = asyncio.create_task(attend(runs[about]))
                tasks[about].add_done_callback(lambda _, about=about: (runs.pop(about, None), tasks.pop(about, None)))
            elif kind == "cancel" and about in tasks:
                tasks[about].cancel()
                await link.send({"type": "result", "run": about[0], "attempt": about[1]})
            elif kind == "input" and about in runs and not runs[about].inputs.full():
                runs[about].inputs.put_nowait(message.get("data"))
            elif kind == "error" and message["code"] in ("unauthorized", "invalid_params"):
                sys.exit(f"the server does not take this program: {message['message']}")
    finally:
        for task in list(tasks.values()):
            task.cancel()


async def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True, help="such as ws://127.0.0.1:3000/agents")
    options.add_argument("--token", default=os.environ.get("TOKEN", ""), help="by default from the environment")
    options.add_argument("--agent", default="summary")
    options.add_argument("--concurrency", type=int, default=4)
    options = options.parse_args()
    stop = asyncio.current_task().cancel
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop)
    failures = 0
    while True:
        link = None
        try:
            link = await Link.open(options.url, options.token)
            await serve(link, options.agent, options.concurrency)
        except (OSError, EOFError) as error:
            print(f"the connection is lost: {error}", file=sys.stderr)
        if link:
            link.writer.close()
        failures = 0 if link and link.is_welcome else failures + 1
        pause = min(0.1 * 2 ** min(failures, 16), 30)
        await asyncio.sleep(pause * random.uniform(0.5, 1))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        pass
