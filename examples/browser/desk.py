"""Two people of different orgs at the example `desk`, each in a Chromium of their own, and the AIs of both.

What an AI does appears on the pages of the people concerned, without a reload; what a person does arrives in the trees
of the people concerned, as a patch. Nobody else's page or tree shows it. After a restart of the server everybody
reconnects, and a logout ends the AI that used its token.

    python desk.py --server target/release/desk
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from websockets.exceptions import InvalidStatus

import stage
from stage import Browser, Server, Stage, check, say, until

UNAUTHORIZED = 401
POLICY_VIOLATION = 1008


class Agent(stage.Agent):
    """An AI that knows what a desk publishes."""

    def tasks(self) -> list[dict[str, Any]]:
        return self.query("/tasks")["children"]

    def open_task(self) -> str:
        """The path of a task that is not done."""
        return next(f"/tasks/{task['id']}" for task in self.tasks() if not task["properties"]["done"])

    def titles(self) -> list[str]:
        return [task["properties"]["title"] for task in self.tasks()]

    def areas(self) -> dict[str, str]:
        """Where the person is in each tab."""
        return {mount: tab["route"]["properties"]["area"] for mount, tab in self.tabs().items()}

    def selection(self, mount: str) -> list[str]:
        return [message["properties"]["path"] for message in self.tabs()[mount]["selection"].get("children", [])]

    def draft(self, mount: str, field: str) -> str:
        drafts = self.tabs()[mount]["drafts"].get("children", [])
        return next((draft["properties"]["text"] for draft in drafts if draft["id"] == field), "")

    def renames_own_task(self) -> None:
        """All that was sent before arrives before this result: there must be nothing but this change."""
        own = self.open_task()
        result, ops = self.invoke(own, "rename", title="Marker")
        check(result["status"] == "ok", f"the result of rename was {result}")
        foreign = [op for op in ops if not op["path"].startswith(own)]
        check(foreign == [], f"changes of others arrived: {foreign}")


class Desk:
    """A person's browser with their desk."""

    def __init__(self, browser: Browser, person: str) -> None:
        self.browser = browser
        browser.open("/login", new=False)
        browser.driver.find_element(By.CSS_SELECTOR, f"button[value={person}]").click()
        self.page = browser.driver.current_window_handle
        until("the desk is shown", lambda: browser.driver.find_elements(By.ID, "agent-token"))
        # A reload would lose this.
        browser.driver.execute_script("window.stayed = true")

    def find(self, selector: str, page: str | None = None) -> WebElement:
        return self.browser.to(page or self.page).find_element(By.CSS_SELECTOR, selector)

    def shown(self, page: str | None = None) -> str:
        return self.find("body", page).get_property("textContent")

    def is_done(self, task: str) -> bool:
        script = "return document.querySelector(arguments[0])?.ariaPressed === 'true'"
        return self.browser.to(self.page).execute_script(script, f"#{name_of(task)} .tick")

    def value(self, field: str, page: str | None = None) -> str:
        return self.find(f"#{field}", page).get_property("value")

    def agent_token(self) -> str:
        return self.find("#agent-token").text

    def end_of_consumer(self, token: str) -> dict[str, Any]:
        """How a consumer ends that connects from the page with `token`."""
        script = """
            const [token, done] = arguments;
            import("/slop/consumer.js").then(({ connect }) => connect({ url: `/slop?token=${token}`, onEnd: done }));
        """
        return self.browser.to(self.page).execute_async_script(script, token)

    def check_no_reload(self) -> None:
        check(self.browser.to(self.page).execute_script("return window.stayed"), "the page must not have been reloaded")


def name_of(path: str) -> str:
    return path.rpartition("/")[2]


def code_of(result: dict[str, Any]) -> str:
    return result.get("error", {}).get("code", "")


def development_tokens(server: Server) -> dict[str, str]:
    """The tokens that it prints after its address: a line for each person, then a line for the token of each."""
    tokens: dict[str, str] = {}
    people = 0
    while not tokens or len(tokens) < people:
        kind, name, rest = server.line().strip().split(" ", 2)
        if kind == "person":
            people += 1
        else:
            tokens[name] = rest
    return tokens


def get(server: Server, path: str) -> str:
    with urlopen(f"http://{server.address}{path}", timeout=stage.DEADLINE_S) as answer:
        return answer.read().decode()


def run(set_up: Stage) -> None:
    server = set_up.server("--db", str(Path(set_up.folder()) / "desk.db"))
    tokens = development_tokens(server)

    say("two people of different orgs see different pages")
    alice = Desk(set_up.browser(server.address), "alice")
    zoe = Desk(set_up.browser(server.address), "zoe")
    check("Acme Parcels" in alice.shown() and "Globex" not in alice.shown(), "alice must see her org and no other")
    check("Globex Lamps" in zoe.shown() and "Acme" not in zoe.shown(), "zoe must see her org and no other")

    say("so do their AIs, each with the tab of its own person")
    token = alice.agent_token()
    agent, other = Agent(server.address, token), Agent(server.address, zoe.agent_token())
    amir, elsewhere = Agent(server.address, tokens["amir"]), Agent(server.address, tokens["alice"])
    check(agent.query("/context")["properties"]["org"] == "acme", "alice's AI must be in her org")
    check(other.query("/context")["properties"]["org"] == "globex", "zoe's AI must be in her org")
    for one in [agent, other]:
        until("the tab is there", lambda: one.areas() == {"/ui/tab-1": "tasks"})
    for one in [amir, elsewhere]:
        check(one.tabs() == {}, "a tab belongs to its own login only")

    say("what the AI does appears on the page")
    task = agent.open_task()
    check(not alice.is_done(task), "the page must show the task as open")
    result, _ = agent.invoke(task, "toggle")
    check(result["status"] == "ok", f"the result of toggle was {result}")
    until("the page shows the tick", lambda: alice.is_done(task))
    alice.check_no_reload()

    say("what the person does is a patch for their AIs, and nothing for the AIs of others")
    task = agent.open_task()
    for one in [agent, elsewhere, other, amir]:
        one.drain()
    alice.find(f"#{name_of(task)} .tick").click()
    ticked = {"op": "replace", "path": f"{task}/properties/done", "value": True}
    for one in [agent, elsewhere]:
        ops: list[dict[str, Any]] = []
        until("the patch arrives", lambda: ops.extend(one.drain()) or ticked in ops)
    for one in [other, amir]:
        one.renames_own_task()
    until("zoe's page shows what her AI did", lambda: "Marker" in zoe.shown())
    check("Marker" not in alice.shown(), "alice must not see it")

    say("two tabs are published side by side")
    two = alice.browser.open("/", new=True)
    until("the second tab is there", lambda: agent.areas() == {"/ui/tab-1": "tasks", "/ui/tab-2": "tasks"})
    check(len(other.tabs()) == 1 and elsewhere.tabs() == {}, "nobody else must see it")

    say("the AI navigates one of them, and opens a message there")
    agent.drain()
    result, ops = agent.invoke("/ui/tab-1/route", "navigate", to="board")
    moved = {"op": "replace", "path": "/ui/tab-1/route/properties/area", "value": "board"}
    check(result["status"] == "ok" and moved in ops, f"the result of navigate was {result} after {ops}")
    check(alice.browser.to(alice.page).current_url.endswith("/#board"), "the page must have gone there")
    unread = next(item["id"] for item in agent.query("/inbox")["children"] if item["properties"]["unread"])
    agent.invoke("/ui/tab-1/route", "navigate", to="inbox", message=unread)
    check(agent.selection("/ui/tab-1") == [f"/inbox/{unread}"], "the message must be open in the first tab")
    check(agent.selection("/ui/tab-2") == [] and agent.areas()["/ui/tab-2"] == "tasks", "the second must stay as it was")
    until("it counts as read", lambda: not agent.query(f"/inbox/{unread}")["properties"]["unread"])
    check(code_of(agent.invoke("/ui/tab-1/route", "navigate", to="nowhere")[0]) == "invalid_params", "no such area")
    result, _ = agent.invoke("/ui/tab-1/route", "navigate", to="inbox", message="m0")
    check(code_of(result) == "not_found", f"the result for an unknown message was {result}")

    say("the AI fills in a field of the other, which the person sends")
    result, _ = agent.invoke("/ui/tab-2/drafts/new-task", "fill", text="Water the plants")
    check(result["status"] == "ok", f"the result of fill was {result}")
    check(alice.value("new-task", two) == "Water the plants", "the text must be in the page")
    check(alice.value("new-task") == "" and agent.draft("/ui/tab-1", "new-task") == "", "the first tab has its own")
    agent.invoke(agent.open_task(), "rename", title="Renamed meanwhile")
    until("the section is shown again", lambda: "Renamed meanwhile" in alice.shown(two))
    check(alice.value("new-task", two) == "Water the plants", "what was in the field must still be there")
    alice.find("#new-task", two).send_keys(", all of them")
    filled = "Water the plants, all of them"
    until("what is typed arrives", lambda: agent.draft("/ui/tab-2", "new-task") == filled)
    alice.find("form[action='/tasks'] button", two).click()
    until("the task is there", lambda: filled in agent.titles())
    until("the other tab shows it", lambda: filled in alice.shown())
    until("the field is empty again", lambda: agent.draft("/ui/tab-2", "new-task") == "")

    say("a key for launched sessions is set on the settings page, kept over the page, and removed")
    key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    alice.find("#key", two).send_keys("not a key")
    alice.find("form[action='/settings/key'] button", two).click()
    check(not alice.browser.to(two).find_elements(By.ID, "current-key"), "the field must say what is wrong")
    alice.find("#key", two).clear()
    alice.find("#key", two).send_keys(key)
    alice.find("form[action='/settings/key'] button", two).click()
    until("the page shows the key", lambda: key in alice.shown(two))
    until("the other tab shows it as well", lambda: key in alice.shown())
    alice.find("form[action='/settings/key/remove'] button", two).click()
    until("it is gone", lambda: key not in alice.shown(two))

    say("health checks and metrics respond")
    check(get(server, "/healthz") == "ok\n" and get(server, "/readyz") == "ready\n", "it must be healthy and ready")
    metrics = get(server, "/metrics")
    check("\ngrove_tabs 3\n" in metrics and "\ngrove_connections 7\n" in metrics, f"the metrics were {metrics}")

    say("nine tabs in one browser load, post and stay live")
    alice.browser.driver.set_page_load_timeout(stage.DEADLINE_S)
    more = [alice.browser.open("/", new=True) for _ in range(7)]
    until("all nine tabs are there", lambda: len(agent.areas()) == 9)
    task = agent.open_task()
    alice.find(f"#{name_of(task)} .tick", more[-1]).click()
    until("the first tab shows it", lambda: alice.is_done(task))
    task = agent.open_task()
    agent.invoke(task, "toggle")
    ticked = f"return document.querySelector('#{name_of(task)} .tick')?.ariaPressed === 'true'"
    for page in [alice.page, two, *more]:
        until("every tab shows what the AI did", lambda: alice.browser.to(page).execute_script(ticked))

    say("when the tab with the stream is closed, another one takes over")
    for page in [alice.page, *more]:
        alice.browser.to(page).close()
    until("one tab is left", lambda: len(agent.areas()) == 1)
    task = agent.open_task()
    agent.invoke(task, "toggle")
    ticked = f"return document.querySelector('#{name_of(task)} .tick')?.ariaPressed === 'true'"
    until("it shows what the AI did", lambda: alice.browser.to(two).execute_script(ticked))
    alice.page = alice.browser.open("/#inbox", new=True)
    alice.browser.driver.execute_script("window.stayed = true")
    until("there are two tabs again", lambda: sorted(agent.areas().values()) == ["inbox", "tasks"])

    say("after an orderly restart, pages and AIs reconnect")
    check(server.stop() == 0, "the server must exit with success although pages are open")
    check(agent.close_code() == 1001, "the close code must say that the server goes away")
    server.start()
    agent, other = Agent(server.address, token), Agent(server.address, tokens["zoe"])
    until("both tabs are there again", lambda: sorted(agent.areas().values()) == ["inbox", "tasks"])
    task = agent.open_task()
    agent.invoke(task, "toggle")
    until("the page is live again", lambda: alice.is_done(task))
    alice.check_no_reload()
    for desk in [alice, zoe]:
        desk.browser.check_faults()

    say("a logout ends the AI that used its token, and the other tab")
    alice.find("form[action='/logout'] button", two).click()
    check(agent.close_code() == POLICY_VIOLATION, "the close code must say that the login has ended")
    try:
        Agent(server.address, token)
        check(False, "the token must not be accepted any more")
    except InvalidStatus as refused:
        check(refused.response.status_code == UNAUTHORIZED, f"the response to the token was {refused}")
    until("the other tab shows the login page", lambda: alice.browser.to(alice.page).current_url.endswith("/login"))
    other.renames_own_task()

    say("a consumer in a page that uses the token of the ended login ends, and reports why")
    end = alice.end_of_consumer(token)
    check(end["code"] == UNAUTHORIZED and end["why"] == "unauthorized", f"it ended with {end}")


if __name__ == "__main__":
    sys.exit(stage.play(__doc__, run))
