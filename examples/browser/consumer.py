"""A page that is a consumer, in a real headless Chromium: the page `/watch` of the example `tabs`.

The page must show what a fresh query shows, whatever happens to its connection: changes, a network that is lost, one
that stalls without either side noticing, a reload, a server that dies. After a loss it must resume its copy, as long as
the server still has its resume point.

    python consumer.py --server target/release/tabs
"""

from __future__ import annotations

import json
import sys
from typing import Any

from selenium.webdriver.common.by import By

import stage
from stage import Agent, Browser, Stage, check, say, until


class Page:
    """The consumer in the browser."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.handle = browser.open("/watch", new=False)

    def text(self, element: str) -> str:
        return self.browser.to(self.handle).find_element(By.ID, element).get_property("textContent")

    def tree(self) -> Any:
        return normal(json.loads(self.text("tree") or "null"))

    def changes(self) -> list[str]:
        """The kinds of changes of the copy since the last call."""
        script = """
            const list = document.getElementById("changes"), seen = [...list.children].map((one) => one.textContent);
            list.replaceChildren();
            return seen;
        """
        return self.browser.to(self.handle).execute_script(script)

    def say(self, words: str) -> None:
        driver = self.browser.to(self.handle)
        field = driver.find_element(By.ID, "text")
        field.clear()
        field.send_keys(words)
        driver.find_element(By.TAG_NAME, "button").click()


def normal(node: Any) -> Any:
    """The tree without empty lists of children: they mean the same as no list."""
    if not isinstance(node, dict):
        return node
    children = [normal(child) for child in node.get("children", [])]
    rest = {name: value for name, value in node.items() if name != "children"}
    return {**rest, "children": children} if children else rest


def run(set_up: Stage) -> None:
    server = set_up.server()
    wire = set_up.wire(server)
    browser = set_up.browser(wire.address)
    agent = Agent(server.address)
    page = Page(browser)

    def is_exact() -> bool:
        return page.tree() == normal(agent.query("/"))

    def notice(words: str) -> None:
        agent.invoke("/notice", "say", text=words)

    say("the page shows what a query shows")
    until("the tree is there", is_exact)
    check(page.changes() == ["snapshot"], "it begins with a snapshot")
    notice("Lunch at noon")
    until("the change is there", is_exact)
    check(page.changes() == ["patch"], "a change is a patch")

    say("it shows what other pages publish")
    other = browser.open("/#/compose", new=True)
    until("the tab is there", lambda: "ui" in json.dumps(page.tree()) and is_exact())
    browser.to(other).find_element(By.ID, "draft").send_keys("Dear Bob,")
    until("the draft is there", lambda: "Dear Bob," in page.text("tree") and is_exact())
    browser.to(other).close()
    until("the tab is gone", lambda: "tab-1" not in page.text("tree") and is_exact())

    say("it invokes an action, and sees what that changed")
    page.say("Tea at four")
    until("the result is there", lambda: page.text("answer") == "ok")
    check("Tea at four" in page.text("tree") and is_exact(), "the change must come before the result")

    say("after a lost network it reconnects, and the copy is resumed")
    page.changes()
    wire.cut()
    notice("Said meanwhile")
    until("it is open again", lambda: page.text("status") == "open" and "Said meanwhile" in page.text("tree"))
    changes = page.changes()
    check(changes == ["resumed", "patch"], f"the copy must be resumed; its changes were {changes}")
    check(is_exact(), "the copy must be exact")

    say("a stalled connection is noticed, and the new connection replaces it")
    wire.go_dead()
    driver = browser.to(page.handle)
    driver.execute_script("dispatchEvent(new Event('online'))")
    until("it is open again", lambda: "resumed" in page.changes())
    notice("Said afterwards")
    until("the change is there", lambda: "Said afterwards" in page.text("tree") and is_exact())
    check("snapshot" not in page.changes(), "the copy must have been resumed")
    wire.cut()
    until("a third time", lambda: "resumed" in page.changes())

    say("a call whose connection is lost fails, and does not hang")
    wire.go_dead()
    page.say("Into the void")
    wire.cut()
    until("the page says so", lambda: page.text("answer").startswith("lost"))
    until("it is open again", lambda: page.text("status") == "open")

    say("a reload starts over")
    browser.to(page.handle).refresh()
    until("the tree is there", is_exact)
    check(page.changes() == ["snapshot"], "a reloaded page gets a snapshot")

    say("after the server died, the page reconnects and gets a snapshot")
    browser.check_faults()
    server.kill()
    agent.close()
    server.start()
    again = Agent(server.address)
    until("the tree is there", lambda: page.tree() == normal(again.query("/")) and "Nothing new" in page.text("tree"))
    check(page.changes() == ["snapshot"], "a restarted server sends a snapshot")
    browser.check_faults()
    again.close()


if __name__ == "__main__":
    sys.exit(stage.play(__doc__, run))
