"""Two tabs of the example `tabs` in a real headless Chromium, and an AI that looks at them and acts in them.

The AI is a WebSocket and nothing else. What it sees of the pages must be what is in the pages, after everything that
happens to them: its own actions, a person's, a tab that closes, a reload, a walk to another page and back, a server
that dies. The first difference is printed and ends the run with exit code 1.

    python tabs.py --server target/release/tabs
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from websockets.sync.client import connect

DEADLINE_S = 20.0
"""Longer than anything here takes; only a failing run waits so long."""
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
    """Something is not as it must be."""


def check(is_so: bool, what: str) -> None:
    if not is_so:
        raise Failed(what)


def until(what: str, look: Callable[[], Any]) -> Any:
    """Looks again until there is something to see."""
    deadline = time.monotonic() + DEADLINE_S
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise Failed(f"it did not happen: {what}")
        time.sleep(LOOK_AGAIN_S)
    return seen


# ---------------------------------------------------------------- the server


class Server:
    """The example, always on the same port, so that the pages find it again."""

    def __init__(self, program: Path) -> None:
        self.program = program
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [self.program, "--listen", self.address]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        check("listening" in self.process.stdout.readline(), "the server did not start")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None


# ---------------------------------------------------------------- the AI


class Agent:
    """A consumer of the whole tree."""

    def __init__(self, address: str) -> None:
        self.socket = connect(f"ws://{address}/slop", compression=None)
        self.last_id = 0
        check(self.hear()["type"] == "hello", "`hello` must come first")
        self.ask("subscribe", path="/", depth=-1)

    def close(self) -> None:
        self.socket.close()

    def hear(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(timeout=DEADLINE_S))

    def ask(self, kind: str, **fields: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The answer, and the operations that came before it."""
        self.last_id += 1
        name = f"{kind}-{self.last_id}"
        self.socket.send(json.dumps({"type": kind, "id": name, **fields}))
        ops: list[dict[str, Any]] = []
        while True:
            message = self.hear()
            if message.get("id") == name:
                return message, ops
            ops += message.get("ops", [])

    def invoke(self, path: str, action: str, **params: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        return self.ask("invoke", path=path, action=action, params=params)

    def drain(self) -> list[dict[str, Any]]:
        """The operations that came since the last look."""
        return self.ask("query", path="/", depth=0)[1]

    def tabs(self) -> dict[str, dict[str, Any]]:
        """What each tab says of itself, by where it is mounted."""
        answer, _ = self.ask("query", path="/ui", depth=-1)
        mounted = answer.get("tree", {}).get("children", [])
        return {f"/ui/{tab['id']}": {child["id"]: child for child in tab["children"]} for tab in mounted}

    def routes(self) -> dict[str, str]:
        return {mount: tab["route"]["properties"]["path"] for mount, tab in self.tabs().items()}

    def draft(self, mount: str) -> str:
        return draft_of(self.tabs()[mount])

    def at(self, route: str, draft: str) -> str | None:
        """Where the tab with this route and this draft is mounted, once there are two tabs and it is one of them."""
        tabs = self.tabs()
        wanted = (route, draft)
        found = [mount for mount, tab in tabs.items() if (tab["route"]["properties"]["path"], draft_of(tab)) == wanted]
        return found[0] if len(tabs) == 2 and found else None

    def selected(self, mount: str) -> list[str]:
        return [item["properties"]["subject"] for item in self.tabs()[mount]["selection"].get("children", [])]


def draft_of(tab: dict[str, Any]) -> str:
    return tab["compose"]["children"][0]["properties"]["text"]


# ---------------------------------------------------------------- the browser


class Browser:
    """Headless Chromium with a profile of its own."""

    def __init__(self, arguments: argparse.Namespace, profile: str, address: str) -> None:
        options = ChromeOptions()
        options.binary_location = str(arguments.chromium)
        for flag in [*FLAGS, f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = Chrome(options, Service(str(arguments.chromedriver)))
        self.address = address

    def quit(self) -> None:
        self.driver.quit()

    def open(self, path: str, *, new: bool) -> str:
        if new:
            self.driver.switch_to.new_window("tab")
        self.driver.get(f"http://{self.address}/#{path}")
        return self.driver.current_window_handle

    def to(self, page: str) -> Chrome:
        self.driver.switch_to.window(page)
        return self.driver

    def text(self, page: str, element: str) -> str:
        return self.to(page).find_element(By.ID, element).get_property("textContent")

    def typed(self, page: str) -> str:
        return self.to(page).find_element(By.ID, "draft").get_property("value")

    def check_faults(self) -> None:
        """The pages may complain of nothing but a server that was away."""
        lines = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        faults = [line for line in lines if "ERR_CONNECTION" not in line]
        check(faults == [], f"the pages complained: {faults}")


# ---------------------------------------------------------------- what must hold


def run(server: Server, browser: Browser, agent: Agent) -> None:
    def say(what: str) -> None:
        print(f"  {what}", file=sys.stderr)

    say("two tabs stand side by side")
    one = browser.open("/inbox", new=False)
    until("the first tab is there", lambda: agent.routes() == {"/ui/tab-1": "/inbox"})
    two = browser.open("/compose", new=True)
    until("the second tab is there", lambda: agent.routes() == {"/ui/tab-1": "/inbox", "/ui/tab-2": "/compose"})

    say("the AI navigates the one, and sees it before it is answered")
    agent.drain()
    result, ops = agent.invoke("/ui/tab-1/route", "navigate", to="/compose")
    check(result["status"] == "ok", f"navigate was answered {result}")
    moved = {"op": "replace", "path": "/ui/tab-1/route/properties/path", "value": "/compose"}
    check(moved in ops, f"the patch must come before the result; before it came {ops}")
    check(browser.to(one).current_url.endswith("#/compose"), "the page must have gone there")
    refused, _ = agent.invoke("/ui/tab-1/route", "navigate", to="/nowhere")
    check(refused.get("error", {}).get("code") == "invalid_params", f"nowhere was answered {refused}")

    say("and fills the draft of the other, and of that one only")
    result, ops = agent.invoke("/ui/tab-2/compose/draft", "fill", text="Dear Bob,")
    filled = {"op": "replace", "path": "/ui/tab-2/compose/draft/properties/text", "value": "Dear Bob,"}
    check(result["status"] == "ok" and filled in ops, f"fill was answered {result} after {ops}")
    check(browser.typed(two) == "Dear Bob,", "the text must be in the page")
    check(browser.typed(one) == "" and agent.draft("/ui/tab-1") == "", "the first tab has its own draft")

    say("what the person does is seen")
    browser.to(two).find_element(By.ID, "draft").send_keys(" how are you?")
    until("the typed text arrives", lambda: agent.draft("/ui/tab-2") == "Dear Bob, how are you?")
    browser.to(one).find_element(By.LINK_TEXT, "Inbox").click()
    until("the person's way arrives", lambda: agent.routes()["/ui/tab-1"] == "/inbox")
    for mail in ["m3", "m1"]:
        browser.to(one).find_element(By.ID, mail).click()
    wanted = ["Budget for next year", "The printer, again"]
    until("the selection arrives", lambda: agent.selected("/ui/tab-1") == wanted)

    say("what the server's data became is fetched by both pages")
    agent.invoke("/notice", "say", text="Lunch at noon")
    for page in [one, two]:
        until("the page shows the notice", lambda: browser.text(page, "notice") == "Lunch at noon")

    say("a reload comes back")
    browser.to(two).refresh()
    # It may stand elsewhere, if the server heard of the new page before it heard of the old one's end.
    mount = until("the tab is there again, and empty", lambda: agent.at("/compose", draft=""))
    agent.invoke(f"{mount}/compose/draft", "fill", text="again")
    check(browser.typed(two) == "again", "the page that came back must be the one that is called")

    say("a walk to another page takes the tab away, and the way back brings it again")
    browser.to(two).get("about:blank")
    until("the tab is gone", lambda: agent.routes() == {"/ui/tab-1": "/inbox"})
    browser.to(two).back()
    mount = until("the tab is back, as it was", lambda: agent.at("/compose", draft="again"))
    agent.invoke(f"{mount}/compose/draft", "fill", text="Dear Carol,")
    check(browser.typed(two) == "Dear Carol,", "the page that came back must be the one that is called")

    say("closing one removes that one only")
    agent.drain()
    browser.to(one).close()
    until("the tab is gone", lambda: "/ui/tab-1" not in agent.routes())
    browser.to(two)
    check(agent.routes() == {mount: "/compose"}, "the other tab stays")
    gone, _ = agent.invoke("/ui/tab-1/route", "navigate", to="/inbox")
    check(gone.get("error", {}).get("code") == "not_found", f"a closed tab answered {gone}")

    say("a server that dies is found again, by the page that lived on")
    browser.check_faults()
    agent.close()
    server.kill()
    browser.to(two).find_element(By.ID, "draft").send_keys(" still there?")
    time.sleep(0.5)
    server.start()
    again = Agent(server.address)
    until("the tab is there again", lambda: again.routes() == {"/ui/tab-1": "/compose"})
    check(again.draft("/ui/tab-1") == "Dear Carol, still there?", "what was typed meanwhile must be there")
    again.invoke("/ui/tab-1/route", "navigate", to="/inbox")
    check(browser.to(two).current_url.endswith("#/inbox"), "the page must have gone there")
    browser.check_faults()
    again.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=Path, required=True, help="the example `tabs`")
    parser.add_argument("--chromium", type=Path, default=Path("/usr/bin/chromium"))
    parser.add_argument("--chromedriver", type=Path, default=Path("/usr/bin/chromedriver"))
    arguments = parser.parse_args()
    with ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        server = Server(arguments.server)
        stack.callback(server.kill)
        server.start()
        browser = Browser(arguments, profile, server.address)
        stack.callback(browser.quit)
        agent = Agent(server.address)
        stack.callback(agent.close)
        try:
            run(server, browser, agent)
        except Failed as failed:
            print(f"FAILED: {failed}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
