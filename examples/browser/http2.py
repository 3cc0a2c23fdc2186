"""A page that is a consumer over TLS and HTTP/2: the page `/watch` of the example `tabs`, in a real headless Chromium.

A browser opens its WebSocket by an extended CONNECT (RFC 8441) on the connection of the page. It must be served there,
since browsers do not fall back to HTTP/1.1. TLS ends in a proxy that offers nothing but HTTP/2 and forwards the bytes.
The example is built with the feature `http2` of `grove-axum`.

    python http2.py --server target/release/tabs
"""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import stage
from consumer import Page, normal
from stage import Agent, Browser, Server, Stage, check, say, until


class TlsWire:
    """A proxy that speaks TLS with a browser, and forwards what is inside to a server."""

    def __init__(self, server: Server, folder: str) -> None:
        self.server = server
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate(Path(folder)))
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.protocols: list[str | None] = []
        """What was agreed on for each connection; nothing for one that asked for HTTP/1.1 alone."""
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(near,), daemon=True).start()

    def serve(self, plain: socket.socket) -> None:
        host, port = self.server.address.split(":")
        try:
            with self.context.wrap_socket(plain, server_side=True) as near:
                self.protocols.append(near.selected_alpn_protocol())
                with socket.create_connection((host, int(port))) as far:
                    forward(near, far)
        except OSError:
            pass

    def close(self) -> None:
        self.listener.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that nobody trusts, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *subject, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def forward(near: ssl.SSLSocket, far: socket.socket) -> None:
    """Forwards both ways until one side ends. One thread, since a TLS connection is not for two."""
    near.setblocking(False)
    while True:
        ready, _, _ = select.select([near, far], [], [])
        if far in ready:
            if not (data := far.recv(1 << 16)):
                return
            send(near, data)
        if near in ready:
            try:
                while data := near.recv(1 << 16):
                    far.sendall(data)
                return
            except ssl.SSLWantReadError:
                pass


def send(near: ssl.SSLSocket, data: bytes) -> None:
    while data:
        try:
            data = data[near.send(data) :]
        except ssl.SSLWantWriteError:
            select.select([], [near], [])
        except ssl.SSLWantReadError:
            select.select([near], [], [])


def run(set_up: Stage) -> None:
    server = set_up.server()
    wire = TlsWire(server, set_up.folder())
    set_up.stack.callback(wire.close)
    flags = ["--ignore-certificate-errors"]
    browser = Browser(set_up.arguments, set_up.folder(), wire.address, scheme="https", flags=flags)
    set_up.stack.callback(browser.driver.quit)
    agent = Agent(server.address)

    say("the page comes over HTTP/2")
    page = Page(browser)
    script = "return performance.getEntriesByType('navigation')[0].nextHopProtocol"
    protocol = browser.to(page.handle).execute_script(script)
    check(protocol == "h2", f"the page came over {protocol}")

    say("its WebSocket opens on such a connection")
    until("the tree is there", lambda: page.tree() == normal(agent.query("/")))
    agent.invoke("/notice", "say", text="Lunch at noon")
    until("the change is there", lambda: "Lunch at noon" in page.text("tree"))
    page.say("Tea at four")
    until("the result is there", lambda: page.text("answer") == "ok")
    check(set(wire.protocols) == {"h2"}, f"a connection fell back to HTTP/1.1: {wire.protocols}")
    browser.check_faults()
    agent.close()


if __name__ == "__main__":
    sys.exit(stage.play(__doc__, run))
