"""Two people in the rooms of the example `studio`, side by side on one page and each in a Chromium of their own.

Both see each run as it is written, word by word. Whoever started a run may stop it, and everyone may steer it. Whoever comes
later, or was away, sees the whole text once; whatever is written is shown as text.

    python studio.py --server target/debug/studio
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from stage import Browser, Stage, check, play, say, until

INBOX = [
    "Please send two new chairs before the opening on Friday.",
    "The invoice for the lamps counts ten lamps.",
    "Please send a new invoice for eight lamps.",
]
"""What is most of the inbox, as a person reads it."""

PROOFREAD = Path(__file__).parent.parent / "studio" / "proofread.py"

MARKUP = """<script>obeyed = 1</script><img src=x onerror="obeyed = 1"> <b>chairs</b>"""


class Pane:
    """What one person sees."""

    def __init__(self, browser: Browser, name: str) -> None:
        self.driver = browser.driver
        self.name = name
        self.element = next(pane for pane in self.all(self.driver, ".pane") if self.text(pane, "h2") == name)
        until("it is live", lambda: self.text(self.element, ".status") == "open")

    @staticmethod
    def all(within: Any, selector: str) -> list[WebElement]:
        return within.find_elements(By.CSS_SELECTOR, selector)

    @staticmethod
    def text(within: Any, selector: str) -> str:
        return within.find_element(By.CSS_SELECTOR, selector).get_property("textContent")

    def here(self) -> set[str]:
        return set(self.text(self.element, ".here").removeprefix("with ").split(", "))

    def runs(self, text: str) -> None:
        """Starts a run."""
        line = self.element.find_element(By.CSS_SELECTOR, ".start textarea")
        line.send_keys(text)
        self.element.find_element(By.CSS_SELECTOR, ".start button").click()
        until("it is started", lambda: line.get_property("value") == "")

    def run(self, number: int) -> Run:
        """The run with this number, counted from 1."""
        runs = until(f"{self.name} sees run {number}", lambda: len(all := self.all(self.element, ".run")) >= number and all)
        return Run(self, runs[-number])


class Run:
    """One run, as one person sees it."""

    def __init__(self, pane: Pane, element: WebElement) -> None:
        self.pane = pane
        self.element = element

    def of(self, selector: str) -> str:
        return Pane.text(self.element, selector)

    def part(self, selector: str) -> WebElement:
        return self.element.find_element(By.CSS_SELECTOR, selector)

    def is_now(self, state: str) -> None:
        until(f"{self.pane.name} sees that it is {state}", lambda: self.of(".state") == state)

    def tells(self, words: str) -> None:
        until(f"{self.pane.name} sees {words}", lambda: words in self.of(".output"))

    def tools(self) -> list[str]:
        return [tool.text for tool in Pane.all(self.element, ".tools li")]

    def steer(self, text: str) -> None:
        line = self.part(".steer input")
        line.send_keys(text, Keys.ENTER)
        until("it is sent", lambda: line.get_property("value") == "")


def go_to(room: str, *browsers: Browser) -> None:
    for browser in browsers:
        until("the room is listed", lambda: room in Pane.text(browser.driver, "#rooms"))
        browser.driver.find_element(By.LINK_TEXT, room).click()
        until("it is marked", lambda: Pane.text(browser.driver, "#rooms [aria-current]") == room)


def side_by_side(set_up: Stage, address: str) -> None:
    browser = set_up.browser(address)
    browser.open("/", new=False)
    ann, bob = Pane(browser, "ann"), Pane(browser, "bob")

    say("both are there, and see a run as it is written")
    for pane in [ann, bob]:
        until("both are shown", lambda: pane.here() == {"ann", "bob"})
    ann.runs("")
    seen = {pane.name: [] for pane in [ann, bob]}
    both = [ann.run(1), bob.run(1)]

    def watch() -> bool:
        for run in both:
            seen[run.pane.name].append(run.of(".output"))
        return all(run.of(".state") == "done" for run in both)

    until("it begins to tell how far it is", lambda: both[1].part("progress").is_displayed())
    until("it is done", watch)
    for run in both:
        until("the text is whole", lambda: run.of(".output").splitlines() == INBOX)
        check(run.of(".by") == "summarize, started by ann: ", f"it was {run.of('.by')}")
        until("the result is shown", lambda: run.of(".result") == '{"sentences":3,"of":10}')
        parts = [text for text in seen[run.pane.name] if 0 < len(text) < len("\n".join(INBOX))]
        check(len(set(parts)) > 5, f"{run.pane.name} must see it grow: {parts}")

    say("a second run waits for the first, and whatever is written is text")
    ann.runs(MARKUP)
    bob.runs("Say this.")
    for pane in [ann, bob]:
        pane.run(3).is_now("done")
        until("it is shown as it is", lambda: pane.run(2).of(".output") == f"{MARKUP}\n")
        check(pane.run(3).of(".by").endswith("by bob: "), "bob has started it")
    check(browser.driver.execute_script("return window.obeyed") is None, "the page must not obey it")

    say("everyone may steer a run, and who started it may cancel it")
    go_to("Research", browser)
    until("the room is empty", lambda: Pane.all(browser.driver, ".run") == [])
    ann.runs("Acme, Umbrella")
    for run in [ann.run(1), bob.run(1)]:
        run.tells("Nobody here knows Umbrella.")
        until("it asks for more", lambda: run.of(".message") == "Who else? Send a name, or “done”")
        tools = run.tools()
        check(tools[0] == 'find_customer {"name":"Acme"}', f"the tools were {tools}")
        check(tools[-1].startswith("failed: "), f"the tools were {tools}")
    check(ann.run(1).part(".cancel").is_displayed() and not bob.run(1).part(".cancel").is_displayed(), "only ann may cancel")
    bob.run(1).steer("Globex")
    for run in [ann.run(1), bob.run(1)]:
        run.tells("Globex in Porto")
    # By keyboard: the button is what follows the line to steer it.
    ann.run(1).part(".steer input").send_keys(Keys.TAB, Keys.TAB)
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    for run in [ann.run(1), bob.run(1)]:
        run.is_now("cancelled")
        check(not run.part(".steer").is_displayed(), "nobody may steer it any more")

    say("a run that goes on for too long fails, and says why")
    bob.runs("A, B, C, D, E, F")
    for pane in [ann, bob]:
        pane.run(2).is_now("failed")
        check(pane.run(2).of(".result").startswith("iteration_limit: "), "the reason is shown")

    say("light and dark are the reader's choice")
    colour = "return getComputedStyle(document.body).backgroundColor"
    shown = []
    for scheme in ["light", "dark"]:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        shown.append(browser.driver.execute_script(colour))
    check(shown == ["rgb(245, 244, 240)", "rgb(23, 24, 26)"], f"the colours were {shown}")
    browser.check_faults()


def apart(set_up: Stage, address: str, far_address: str, cut: Any) -> None:
    at_ann, at_bob = set_up.browser(address), set_up.browser(far_address)
    at_ann.open("/?as=ann#research", new=False)
    ann = Pane(at_ann, "ann")
    check(len(Pane.all(at_ann.driver, ".pane")) == 1, "there must be one pane")

    say("who comes later sees what has been written, and the result")
    ann.runs("Initech")
    until("ann sees another run", lambda: Pane.all(ann.element, ".run")[0].get_attribute("data-status") == "running")
    number = len(Pane.all(ann.element, ".run"))
    at_bob.open("/?as=bob#research", new=False)
    bob = Pane(at_bob, "bob")
    until("each sees the other", lambda: ann.here() == bob.here() == {"ann", "bob"})
    bob.run(number).tells("Initech in Graz")

    say("who was away sees all of it once")
    cut()
    ann.run(number).steer("Globex")
    bob.run(number).tells("Globex in Porto")
    bob.run(number).steer("done")
    for run in [ann.run(number), bob.run(number)]:
        run.is_now("done")
        until("the result is shown", lambda: run.of(".result") == '{"found":2}')
        lines = run.of(".output").splitlines()
        check([line.split()[0] for line in lines] == ["Initech", "Globex"], f"{run.pane.name} sees {lines}")

    say("a new room is there for both")
    form = at_bob.driver.find_element(By.ID, "new-room")
    at_bob.driver.find_element(By.TAG_NAME, "summary").click()
    form.find_element(By.NAME, "title").send_keys("Monday")
    form.find_element(By.NAME, "agent").send_keys("nobody", Keys.ENTER)
    until("the reason is shown", lambda: "agent" in Pane.text(form, "output"))
    agent = form.find_element(By.NAME, "agent")
    agent.clear()
    agent.send_keys("summarize", Keys.ENTER)
    go_to("Monday", at_ann, at_bob)
    bob.runs("It rains.")
    for pane in [ann, bob]:
        pane.run(1).is_now("done")
        until("the text is there", lambda: pane.run(1).of(".output") == "It rains.\n")

    say("an agent that is a program of its own is an agent like any other")
    program = [sys.executable, "-B", PROOFREAD, f"ws://{address}/agents?token=proofread"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as proofread:
        check(proofread.stdout.readline() == "connected as proofread\n", "it must connect")
        form.find_element(By.NAME, "title").send_keys("Proofs")
        form.find_element(By.NAME, "agent").send_keys("proofread", Keys.ENTER)
        go_to("Proofs", at_ann, at_bob)
        ann.runs("It is is wrong.")
        for pane in [ann, bob]:
            pane.run(1).is_now("done")
            pane.run(1).tells("Sentence 1: “is” twice.")
        proofread.kill()
    at_ann.check_faults()
    at_bob.check_faults()


def run(set_up: Stage) -> None:
    server = set_up.server("--pace-ms", "40")
    side_by_side(set_up, server.address)
    wire = set_up.wire(server)
    apart(set_up, server.address, wire.address, wire.cut)
    check(server.stop() == 0, "the server must exit with success")


if __name__ == "__main__":
    sys.exit(play(__doc__, run))
