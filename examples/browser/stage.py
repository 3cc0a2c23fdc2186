"""What the browser tests share: an example that serves, a real headless Chromium, and an AI that consumes the tree.

The AI is a bare WebSocket. The first check that fails is printed and ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import struct
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

DEADLINE_S = 20.0
"""Longer than anything here takes; only a failing run waits that long."""
LOOK_AGAIN_S = 0.02

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Failed(Exception):
    """A check failed."""


def check(is_so: bool, what: str) -> None:
    if not is_so:
        raise Failed(what)


def until(what: str, look: Callable[[], Any]) -> Any:
    """Calls `look` until it returns something true, and returns that."""
    deadline = time.monotonic() + DEADLINE_S
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise Failed(f"this did not happen: {what}")
        time.sleep(LOOK_AGAIN_S)
    return seen


def say(what: str) -> None:
    print(f"  {what}", file=sys.stderr)


class Server:
    """An example, always on the same port, so that pages can reconnect after a restart."""

    def __init__(self, program: Path, *arguments: str) -> None:
        self.command = [program, *arguments]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [*self.command, "--listen", self.address]
        quiet = {**os.environ, "RUST_LOG": "error"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=quiet)
        check("listening" in self.line(), "the server did not start")

    def line(self) -> str:
        """The next line that it prints."""
        return self.process.stdout.readline()

    def stop(self) -> int:
        """Stops it with SIGTERM, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE_S)
        self.forget()
        return code

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.forget()

    def forget(self) -> None:
        self.process.stdout.close()
        self.process = None


class Wire:
    """A proxy between a browser and a server. It can cut connections, and stall them without either side noticing."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lines: list[Line] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        host, port = self.server.address.split(":")
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                self.lines.append(Line(near, socket.create_connection((host, int(port)))))
            except OSError:
                reset(near)

    def cut(self) -> None:
        """Ends all present connections; new ones get through."""
        for line in self.lines:
            line.cut()
        self.lines = []

    def go_dead(self) -> None:
        """Keeps all present connections open, but forwards nothing on them any more; new ones get through."""
        for line in self.lines:
            line.dead = True

    def close(self) -> None:
        self.listener.close()
        self.cut()


class Line:
    """One connection through a `Wire`."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.ends = [near, far]
        self.dead = False
        for source, sink in [(near, far), (far, near)]:
            threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    def pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                if self.dead:
                    return
                sink.sendall(data)
        except OSError:
            pass
        if not self.dead:
            self.cut()

    def cut(self) -> None:
        for end in self.ends:
            reset(end)


def reset(end: socket.socket) -> None:
    """Resets a connection, as a router does that has lost its state."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes the thread that waits in `recv`.
        end.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    end.close()


class Agent:
    """A consumer of the whole tree."""

    def __init__(self, address: str, token: str | None = None) -> None:
        query = "" if token is None else f"?token={token}"
        self.socket = connect(f"ws://{address}/slop{query}", compression=None)
        self.last_id = 0
        check(self.hear()["type"] == "hello", "`hello` must come first")
        self.ask("subscribe", path="/", depth=-1)

    def close(self) -> None:
        self.socket.close()

    def hear(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(timeout=DEADLINE_S))

    def ask(self, kind: str, **fields: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Sends a request. Returns the response, and the operations that came before it."""
        return self.answer(self.send(kind, **fields))

    def send(self, kind: str, **fields: Any) -> str:
        """Sends a request, and returns its id."""
        self.last_id += 1
        name = f"{kind}-{self.last_id}"
        self.socket.send(json.dumps({"type": kind, "id": name, **fields}))
        return name

    def answer(self, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The response with that id, and the operations that came before it."""
        ops: list[dict[str, Any]] = []
        while True:
            message = self.hear()
            if message.get("id") == name:
                return message, ops
            ops += message.get("ops", [])

    def invoke(self, path: str, action: str, **params: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        return self.ask("invoke", path=path, action=action, params=params)

    def query(self, path: str, depth: int = -1) -> dict[str, Any] | None:
        """The node at a path, if there is one."""
        return self.ask("query", path=path, depth=depth)[0].get("tree")

    def drain(self) -> list[dict[str, Any]]:
        """The operations that have arrived since the last call."""
        return self.ask("query", path="/", depth=0)[1]

    def tabs(self) -> dict[str, dict[str, Any]]:
        """The nodes that each tab publishes, by the path where it is mounted."""
        mounted = (self.query("/ui") or {}).get("children", [])
        return {f"/ui/{tab['id']}": {child["id"]: child for child in tab["children"]} for tab in mounted}

    def close_code(self) -> int:
        """The code with which the server closes the connection."""
        try:
            while True:
                self.hear()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


class Browser:
    """Headless Chromium with a profile of its own."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        profile: str,
        address: str,
        *,
        scheme: str = "http",
        flags: list[str] | None = None,
    ) -> None:
        options = ChromeOptions()
        options.binary_location = str(arguments.chromium)
        for flag in [*FLAGS, *(flags or []), f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = Chrome(options, Service(str(arguments.chromedriver)))
        self.origin = f"{scheme}://{address}"

    def open(self, path: str, *, new: bool) -> str:
        """Loads a path in a new page or in the current one, and returns the page's window handle."""
        if new:
            self.driver.switch_to.new_window("tab")
        self.driver.get(f"{self.origin}{path}")
        return self.driver.current_window_handle

    def to(self, page: str) -> Chrome:
        self.driver.switch_to.window(page)
        return self.driver

    def check_faults(self) -> None:
        """The pages may log no errors but those of a server that was away.

        After each failed attempt to connect, the modules ask it whether it still accepts the credential.
        """
        lines = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        faults = [line for line in lines if "ERR_CONNECTION" not in line and "/slop/renew" not in line]
        check(faults == [], f"the pages logged errors: {faults}")


class Stage:
    """What is set up for one run, and torn down after it."""

    def __init__(self, arguments: argparse.Namespace, stack: ExitStack) -> None:
        self.arguments = arguments
        self.stack = stack

    def folder(self) -> str:
        return self.stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))

    def server(self, *arguments: str) -> Server:
        server = Server(self.arguments.server, *arguments)
        self.stack.callback(server.kill)
        server.start()
        return server

    def wire(self, server: Server) -> Wire:
        wire = Wire(server)
        self.stack.callback(wire.close)
        return wire

    def browser(self, address: str) -> Browser:
        browser = Browser(self.arguments, self.folder(), address)
        self.stack.callback(browser.driver.quit)
        return browser


def play(manual: str, run: Callable[[Stage], None]) -> int:
    """Reads the command line, and runs the test."""
    parser = argparse.ArgumentParser(description=manual, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=Path, required=True, help="the example that serves")
    parser.add_argument("--chromium", type=Path, default=Path("/usr/bin/chromium"))
    parser.add_argument("--chromedriver", type=Path, default=Path("/usr/bin/chromedriver"))
    with ExitStack() as stack:
        try:
            run(Stage(parser.parse_args(), stack))
        except Failed as failed:
            print(f"FAILED: {failed}", file=sys.stderr)
            return 1
    return 0
