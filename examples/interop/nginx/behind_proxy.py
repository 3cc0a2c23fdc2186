"""The example `desk` behind nginx, with each configuration of the guide as it is printed there.

A page of the public origin must connect, pages of other origins must not, and discovery must announce an address at
which the endpoint can be reached.

    python behind_proxy.py --server target/release/desk --guide docs/guide/operations.md
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

DEADLINE_S = 20.0
"""Longer than anything here takes; only a failing run waits this long."""


class Failed(Exception):
    """Something is not as it must be."""


def check(is_so: bool, what: str) -> None:
    if not is_so:
        raise Failed(what)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise Failed(f"nothing listens on port {port}") from error
            time.sleep(0.02)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Desk:
    """A desk behind a proxy, and the token of alice."""

    def __init__(self, server: Path, folder: Path, stack: ExitStack) -> None:
        self.port = free_port()
        self.log = folder / "desk.log"
        database = folder / "desk.db"
        command = [server, "--listen", f"127.0.0.1:{self.port}", "--db", database, "--behind-proxy"]
        log = stack.enter_context(self.log.open("wb"))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        stack.callback(stop, process)
        wait_for(self.port)
        with sqlite3.connect(database) as logins:
            query = "SELECT token FROM logins WHERE person = 'alice' AND development"
            self.token = logins.execute(query).fetchone()[0]


def start_nginx(configuration: str, desk: Desk, folder: Path, stack: ExitStack) -> int:
    """Starts nginx with a configuration of the guide, on another port. Returns the port."""
    port = free_port()
    check("listen 8080;" in configuration, "the guide's configuration must listen on port 8080")
    configuration = configuration.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    configuration = configuration.replace("127.0.0.1:3000", f"127.0.0.1:{desk.port}")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{configuration}\n}}\n"
    )
    process = subprocess.Popen(["nginx", "-e", f"{folder}/error.log", "-c", str(file)])
    stack.callback(stop, process)
    wait_for(port)
    return port


def hello(url: str, token: str, origin: str) -> str:
    with connect(f"{url}?token={token}", origin=origin, compression=None) as consumer:
        return json.loads(consumer.recv(DEADLINE_S))["type"]


def play(configuration: str, arguments: argparse.Namespace) -> None:
    prefix = re.search(r"X-Forwarded-Prefix (/[^;]*);", configuration)
    path = prefix[1] if prefix else ""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        desk = Desk(arguments.server, folder, stack)
        port = start_nginx(configuration, desk, folder, stack)
        public = f"localhost:{port}"
        with urlopen(f"http://{public}{path}/.well-known/slop", timeout=DEADLINE_S) as response:
            url = json.load(response)["transport"]["url"]
        check(url == f"ws://{public}{path}/slop", f"discovery announces {url}")
        greeting = hello(url, desk.token, f"http://{public}")
        check(greeting == "hello", f"a page of the public origin got {greeting}")
        for origin in ["http://localhost", "http://evil.example", f"https://evil.example:{port}"]:
            try:
                hello(url, desk.token, origin)
                raise Failed(f"a page of {origin} could connect")
            except InvalidStatus as refused:
                status = refused.response.status_code
                check(status == 403, f"a page of {origin} got {status}")
        log = desk.log.read_text()
        check("http://evil.example" in log and public in log, f"the log does not name both sides: {log}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=Path, required=True, help="the program `desk`")
    parser.add_argument("--guide", type=Path, required=True, help="the page with the configurations")
    arguments = parser.parse_args()
    configurations = re.findall(r"```nginx\n(.*?)```", arguments.guide.read_text(), re.DOTALL)
    try:
        check(len(configurations) == 2, f"the guide has {len(configurations)} configurations for nginx, not 2")
        for configuration in configurations:
            play(configuration, arguments)
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
