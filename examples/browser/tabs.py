"""Two tabs of the example `tabs` in a real headless Chromium, and an AI that sees them and acts in them.

What the AI sees of the pages must be what is in the pages, whatever happens to them: its own actions, a person's, a tab
that closes, a reload, a navigation to another page and back, a network that is lost, a server that dies.

    python tabs.py --server target/release/tabs
"""

from __future__ import annotations

import sys
import time
from typing import Any

from selenium.webdriver.common.by import By

import stage
from stage import Stage, check, say, until


class Agent(stage.Agent):
    """An AI that knows what a tab of this example publishes."""

    def routes(self) -> dict[str, str]:
        return {mount: tab["route"]["properties"]["path"] for mount, tab in self.tabs().items()}

    def draft(self, mount: str) -> str:
        return draft_of(self.tabs()[mount])

    def at(self, route: str, draft: str) -> str | None:
        """The mount of the tab with this route and this draft, once there are two tabs and it is one of them."""
        tabs = self.tabs()
        wanted = (route, draft)
        found = [mount for mount, tab in tabs.items() if (tab["route"]["properties"]["path"], draft_of(tab)) == wanted]
        return found[0] if len(tabs) == 2 and found else None

    def selected(self, mount: str) -> list[str]:
        return [item["properties"]["subject"] for item in self.tabs()[mount]["selection"].get("children", [])]


def draft_of(tab: dict[str, Any]) -> str:
    return tab["compose"]["children"][0]["properties"]["text"]


def run(set_up: Stage) -> None:
    server = set_up.server()
    wire = set_up.wire(server)
    browser = set_up.browser(wire.address)
    agent = Agent(server.address)

    def text(page: str, element: str) -> str:
        return browser.to(page).find_element(By.ID, element).get_property("textContent")

    def typed(page: str) -> str:
        return browser.to(page).find_element(By.ID, "draft").get_property("value")

    say("two tabs are published side by side")
    one = browser.open("/#/inbox", new=False)
    until("the first tab is there", lambda: agent.routes() == {"/ui/tab-1": "/inbox"})
    two = browser.open("/#/compose", new=True)
    until("the second tab is there", lambda: agent.routes() == {"/ui/tab-1": "/inbox", "/ui/tab-2": "/compose"})

    say("the AI navigates one of them, and sees the change before the result")
    agent.drain()
    result, ops = agent.invoke("/ui/tab-1/route", "navigate", to="/compose")
    check(result["status"] == "ok", f"the result of navigate was {result}")
    moved = {"op": "replace", "path": "/ui/tab-1/route/properties/path", "value": "/compose"}
    check(moved in ops, f"the patch must come before the result; before it came {ops}")
    check(browser.to(one).current_url.endswith("#/compose"), "the page must have gone there")
    refused, _ = agent.invoke("/ui/tab-1/route", "navigate", to="/nowhere")
    check(refused.get("error", {}).get("code") == "invalid_params", f"the result for nowhere was {refused}")

    say("the AI fills in the draft of the other, and only that one")
    result, ops = agent.invoke("/ui/tab-2/compose/draft", "fill", text="Dear Bob,")
    filled = {"op": "replace", "path": "/ui/tab-2/compose/draft/properties/text", "value": "Dear Bob,"}
    check(result["status"] == "ok" and filled in ops, f"the result of fill was {result} after {ops}")
    check(typed(two) == "Dear Bob,", "the text must be in the page")
    check(typed(one) == "" and agent.draft("/ui/tab-1") == "", "the first tab has its own draft")

    say("the AI sees what the person does")
    browser.to(two).find_element(By.ID, "draft").send_keys(" how are you?")
    until("the typed text arrives", lambda: agent.draft("/ui/tab-2") == "Dear Bob, how are you?")
    browser.to(one).find_element(By.LINK_TEXT, "Inbox").click()
    until("the person's route arrives", lambda: agent.routes()["/ui/tab-1"] == "/inbox")
    for mail in ["m3", "m1"]:
        browser.to(one).find_element(By.ID, mail).click()
    wanted = ["Budget for next year", "The printer, again"]
    until("the selection arrives", lambda: agent.selected("/ui/tab-1") == wanted)

    say("both pages fetch the server's data again when it has changed")
    agent.invoke("/notice", "say", text="Lunch at noon")
    for page in [one, two]:
        until("the page shows the notice", lambda: text(page, "notice") == "Lunch at noon")

    say("a reloaded tab comes back")
    browser.to(two).refresh()
    # It may have another mount, if the server saw the new page before it saw the end of the old one.
    mount = until("the tab is there again, and empty", lambda: agent.at("/compose", draft=""))
    agent.invoke(f"{mount}/compose/draft", "fill", text="again")
    check(typed(two) == "again", "the page that came back must be the one that is called")

    say("navigating to another page removes the tab, and navigating back restores it")
    browser.to(two).get("about:blank")
    until("the tab is gone", lambda: agent.routes() == {"/ui/tab-1": "/inbox"})
    browser.to(two).back()
    mount = until("the tab is back, as it was", lambda: agent.at("/compose", draft="again"))
    agent.invoke(f"{mount}/compose/draft", "fill", text="Dear Carol,")
    check(typed(two) == "Dear Carol,", "the page that came back must be the one that is called")

    say("closing a tab removes only that one")
    agent.drain()
    browser.to(one).close()
    until("the tab is gone", lambda: "/ui/tab-1" not in agent.routes())
    browser.to(two)
    check(agent.routes() == {mount: "/compose"}, "the other tab stays")
    gone, _ = agent.invoke("/ui/tab-1/route", "navigate", to="/inbox")
    check(gone.get("error", {}).get("code") == "not_found", f"the result of a closed tab was {gone}")

    say("a lost network removes the tab, which comes back with its present state")
    wire.cut()
    browser.to(two).find_element(By.ID, "draft").send_keys(" and Dave,")
    until("the tab is back", lambda: [agent.draft(mount) for mount in agent.routes()] == ["Dear Carol, and Dave,"])
    (mount,) = agent.routes()
    agent.invoke(f"{mount}/compose/draft", "fill", text="Dear Carol,")
    check(typed(two) == "Dear Carol,", "the page that came back must be the one that is called")

    say("a call to a tab whose network is lost fails with an error")
    wire.go_dead()
    call = agent.send("invoke", path=f"{mount}/route", action="navigate", params={"to": "/inbox"})
    agent.drain()
    wire.cut()
    lost, _ = agent.answer(call)
    check(lost.get("error", {}).get("code") == "internal", f"the result of the call was {lost}")
    until("the tab is back", lambda: len(agent.routes()) == 1)

    say("after the server died, the page reconnects with its present state")
    browser.check_faults()
    agent.close()
    server.kill()
    browser.to(two).find_element(By.ID, "draft").send_keys(" still there?")
    time.sleep(0.5)
    server.start()
    again = Agent(server.address)
    until("the tab is there again", lambda: again.routes() == {"/ui/tab-1": "/compose"})
    check(again.draft("/ui/tab-1") == "Dear Carol, still there?", "what was typed in the meantime must be there")
    again.invoke("/ui/tab-1/route", "navigate", to="/inbox")
    check(browser.to(two).current_url.endswith("#/inbox"), "the page must have gone there")
    browser.check_faults()
    again.close()


if __name__ == "__main__":
    sys.exit(stage.play(__doc__, run))
