"""The agent `proofread`, a program of its own: it connects to the studio, and rooms there have it work.

It needs Python 3.9 and nothing else. First comes the agent, then the little that it needs of WebSocket.

    python3 examples/studio/proofread.py ws://127.0.0.1:3000/agents?token=proofread
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import sys
import time
from typing import Any, Iterator
from urllib.parse import urlsplit

READY = {
    "type": "ready",
    "agent": "proofread",
    "concurrency": 1,
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}
LONG_SENTENCE_WORDS = 20

# ---------------------------------------------------------------- the agent


def remarks(sentence: str) -> Iterator[str]:
    """What can be said about a sentence."""
    words = sentence.split()
    if len(words) > LONG_SENTENCE_WORDS:
        yield f"{len(words)} words are many"
    for word, following in zip(words, words[1:]):
        if word.lower() == following.lower().rstrip(".,;:?!"):
            yield f"“{word}” twice"
    if sentence[-1] not in ".?!":
        yield "there is no full stop"


def work(link: Link, run: Run, given: dict[str, Any]) -> None:
    """Works on one run: what it says is seen by everyone in the room."""
    sentences = re.findall(r"\S[^.?!]*[.?!]?", given["text"])
    count = 0
    for number, sentence in enumerate(sentences, 1):
        for remark in remarks(sentence.strip()):
            run.say("chunk", text=f"Sentence {number}: {remark}.\n")
            count += 1
        run.say("progress", progress=number / len(sentences))
        time.sleep(0.05)
        cancel = {"type": "cancel", **run.about}
        if any(cancel.items() <= message.items() for message in link.received()):
            # Whatever is said now, the run ends as cancelled.
            return run.say("result")
    run.say("result", output={"sentences": len(sentences), "remarks": count})


class Run:
    """One attempt at a run. What is said about it names both."""

    def __init__(self, link: Link, dispatch: dict[str, Any]) -> None:
        self.link = link
        self.about = {"run": dispatch["run"], "attempt": dispatch["attempt"]}

    def say(self, kind: str, **fields: Any) -> None:
        self.link.send({"type": kind, **self.about, **fields})


def serve(link: Link) -> None:
    """Says which agent this is, and works on one run after the other."""
    link.send(READY)
    while True:
        message = link.receive()
        if message["type"] == "welcome":
            print(f"connected as {message['agent']}", flush=True)
        elif message["type"] == "dispatch":
            run = Run(link, message)
            run.say("ack")
            work(link, run, message["input"])
        elif message["type"] == "error":
            print(f"refused: {message['message']}", file=sys.stderr)
            if message["code"] == "unauthorized":
                sys.exit(1)


def main(url: str) -> None:
    """Connects, and connects again after every loss. The server gives a run that was lost to whoever comes."""
    delay = 0.5
    while True:
        try:
            link = Link(url)
            delay = 0.5
            serve(link)
        except KeyboardInterrupt:
            return
        except OSError as error:
            print(f"not connected: {error}; again in {delay} s", file=sys.stderr)
            time.sleep(delay)
            delay = min(delay * 2, 30)


# ---------------------------------------------------------------- WebSocket (RFC 6455), without TLS

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Link:
    """A connection on which both sides send JSON."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=10)
        self.buffer = self.text = b""
        key = base64.b64encode(os.urandom(16)).decode()
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.socket.sendall(
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
        if b" 101 " not in head.split(b"\r\n")[0] or accept not in head:
            raise ConnectionError(head.split(b"\r\n")[0].decode(errors="replace"))

    def send(self, message: dict[str, Any]) -> None:
        self.frame(TEXT, json.dumps(message).encode())

    def receive(self) -> dict[str, Any]:
        """Waits for the next message. The server sends a ping every 15 s, so a long silence is a loss."""
        self.socket.settimeout(60)
        return next(self.messages())

    def received(self) -> Iterator[dict[str, Any]]:
        """The messages that are already there."""
        self.socket.settimeout(0)
        try:
            yield from self.messages()
        except BlockingIOError:
            pass

    def messages(self) -> Iterator[dict[str, Any]]:
        """Messages as they come. Whatever else comes is dealt with on the way."""
        while True:
            is_last, kind, payload = self.take()
            if kind == PING:
                self.frame(PONG, payload)
            elif kind == CLOSE:
                raise ConnectionError(payload[2:].decode(errors="replace") or "closed")
            elif kind != PONG:
                self.text += payload
                if is_last:
                    text, self.text = self.text, b""
                    yield json.loads(text)

    def take(self) -> tuple[bool, int, bytes]:
        """One frame. Servers do not mask theirs."""
        while True:
            size, start = self.buffer[1] & 127 if len(self.buffer) > 1 else 0, 2
            if size > 125:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self.buffer[2:start], "big")
            if 2 <= start + size <= len(self.buffer):
                frame, self.buffer = self.buffer[: start + size], self.buffer[start + size :]
                return bool(frame[0] & 128), frame[0] & 15, frame[start:]
            self.fill()

    def fill(self) -> None:
        received = self.socket.recv(1 << 16)
        if not received:
            raise ConnectionError("the connection is closed")
        self.buffer += received

    def frame(self, kind: int, payload: bytes) -> None:
        """Sends one frame, masked as clients have to."""
        size, patience = len(payload), self.socket.gettimeout()
        length = bytes([128 | size]) if size < 126 else bytes([254]) + size.to_bytes(2, "big")
        if size > 65535:
            length = bytes([255]) + size.to_bytes(8, "big")
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.socket.settimeout(10)
        self.socket.sendall(bytes([128 | kind]) + length + mask + masked)
        self.socket.settimeout(patience)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
