"""Two people at the board of the example `desk`, each in a Chromium of their own, and an AI beside each of them.

The board is a room. Everybody sees who is there, and what people and AIs say arrives everywhere in the same order. Who
only looks says nothing, who is of another org learns nothing, and whatever is written is shown as text. A reload keeps
the person's place; who leaves is gone.

    python board.py --server target/release/desk
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By

import stage
from stage import Browser, Server, Stage, check, say, until

ROOM = "/rooms/board-acme"
FORBIDDEN = 403
POLICY_VIOLATION = 1008

MARKUP = """<script>window.obeyed = 1</script><img src=x onerror="window.obeyed = 1"><b>'"&amp;"""
AMIR = "Amir <img src=x onerror='window.obeyed = 1'> Haddad"
"""What amir is called: names are text as well."""

FEED = """
    return [...document.querySelectorAll("#feed li")].map((line) => {
      const words = [...line.querySelectorAll("b, span")].map((part) => part.textContent);
      return [line.dataset.kind, Number(line.dataset.seq ?? 0), words.join(": ")];
    });
"""
FACES = """
    return [...document.querySelectorAll("#people .face")].map((face) => {
      const kind = face.classList.contains("agent") ? "AI" : "person";
      return `${face.dataset.user}, ${kind}, ${face.querySelector("small").textContent}`;
    });
"""


class Agent(stage.Agent):
    """An AI that keeps the events of its room."""

    def __init__(self, address: str, token: str) -> None:
        self.events: list[dict[str, Any]] = []
        super().__init__(address, token)

    def hear(self) -> dict[str, Any]:
        message = super().hear()
        if message["type"] == "event":
            self.events.append(message["data"])
        return message

    def join(self) -> dict[str, Any]:
        return self.ask("subscribe", path=ROOM, depth=-1)[0]

    def says(self, text: str) -> dict[str, Any]:
        return self.invoke(ROOM, "say", text=text)[0]

    def told(self) -> list[tuple[int, str]]:
        """What was said to all, by number."""
        self.drain()
        messages = [event for event in self.events if event["kind"] == "message"]
        return [(event["seq"], f"{event['actor']['name']}: {event['body']['text']}") for event in messages]

    def kinds_after(self, seq: int) -> list[str]:
        self.drain()
        return [event["kind"] for event in self.events if event.get("seq", 0) > seq]


class Board:
    """A person's browser, at the board."""

    def __init__(self, browser: Browser, person: str) -> None:
        self.browser = browser
        browser.open("/login", new=False)
        self.driver.find_element(By.CSS_SELECTOR, f"button[value={person}]").click()
        self.token = until("the desk is shown", lambda: self.driver.find_elements(By.ID, "agent-token"))[0].text
        self.arrive()

    @property
    def driver(self) -> Any:
        return self.browser.driver

    def arrive(self) -> None:
        self.browser.open("/board", new=False)
        self.is_live()

    def is_live(self) -> None:
        until("the page is live", lambda: self.driver.find_element(By.ID, "status").text == "live")

    def feed(self) -> list[tuple[str, int, str]]:
        """Kind, number and words of each line."""
        return [tuple(line) for line in self.driver.execute_script(FEED)]

    def told(self) -> list[tuple[int, str]]:
        return [(seq, words) for kind, seq, words in self.feed() if kind == "message"]

    def shows(self, words: str) -> bool:
        return any(words == shown for _, _, shown in self.feed())

    def faces(self) -> list[str]:
        return sorted(self.driver.execute_script(FACES))

    def says(self, text: str) -> None:
        line = self.driver.find_element(By.ID, "new-message")
        line.send_keys(text)
        self.driver.find_element(By.CSS_SELECTOR, ".say button").click()
        until("it was sent", lambda: line.get_property("value") == "")

    def leaves(self) -> None:
        self.driver.find_element(By.ID, "leave").click()

    def has_obeyed(self) -> bool:
        script = "return window.obeyed !== undefined || document.querySelector('main :is(img, script)') !== null"
        return self.driver.execute_script(script)


def rename_amir(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE people SET display = ? WHERE name = 'amir'", [AMIR])


def tokens_of(server: Server) -> dict[str, str]:
    tokens: dict[str, str] = {}
    while len(tokens) < 6:
        kind, name, rest = server.line().strip().split(" ", 2)
        if kind == "token":
            tokens[name] = rest
    return tokens


def same_order(what: str, count: int, *readers: Board | Agent) -> None:
    """Everybody was told the same in the same order, at least so many messages."""
    first = readers[0]
    until(f"{what}: all of it arrives", lambda: len(first.told()) >= count)
    expected = first.told()
    check([seq for seq, _ in expected] == sorted(seq for seq, _ in expected), f"{what}: it must be in order")
    for reader in readers[1:]:
        since = reader.told()[:1]
        until(f"{what}: everybody has the same", lambda: reader.told() == [told for told in expected if [told] >= since])


def run(set_up: Stage) -> None:
    database = Path(set_up.folder()) / "desk.db"
    server = set_up.server("--db", str(database))
    check(server.stop() == 0, "the server must exit with success")
    rename_amir(database)
    server.start()
    tokens = tokens_of(server)
    wire = set_up.wire(server)

    say("each sees the other arrive, and their AIs")
    alice = Board(set_up.browser(server.address), "alice")
    until("alice sees herself", lambda: alice.faces() == ["alice, person, online"])
    ai_of_alice = Agent(server.address, alice.token)
    check(ai_of_alice.join()["type"] == "snapshot", "alice's AI must see the board")
    amir = Board(set_up.browser(wire.address), "amir")
    ai_of_amir = Agent(server.address, amir.token)
    ai_of_amir.join()
    both = ["alice, AI, online", "alice, person, online", "amir, AI, online", "amir, person, online"]
    for board in [alice, amir]:
        until("all four are there", lambda: board.faces() == both)
    for who in ["Alice Moreau", "Alice Moreau's AI", AMIR, f"{AMIR}'s AI"]:
        until("alice's page has told it", lambda: alice.shows(f"{who}: is here"))

    say("what people and AIs say arrives everywhere in the same order")
    readers = [alice, amir, ai_of_alice, ai_of_amir]
    for number in range(5):
        alice.says(f"alice {number}")
        ai_of_amir.says(f"her colleague's AI {number}")
        amir.says(f"amir {number}")
        ai_of_alice.says(f"his colleague's AI {number}")
    same_order("the conversation", 20, *readers)
    told = [words for _, words in ai_of_amir.told()]
    for words in ["Alice Moreau: alice 4", "Alice Moreau's AI: his colleague's AI 4", f"{AMIR}: amir 4"]:
        check(words in told, f"{words} must be told; it was {told}")
    by_ai = amir.driver.execute_script("return document.querySelectorAll('#feed .said.agent').length")
    check(by_ai == 10, f"what AIs say must be shown as theirs: {by_ai}")

    say("what is refused is given back")
    line = alice.driver.find_element(By.ID, "new-message")
    alice.driver.execute_script("arguments[0].removeAttribute('maxlength'); arguments[0].value = 'x'.repeat(2001)", line)
    alice.driver.find_element(By.CSS_SELECTOR, ".say button").click()
    until("the page says why", lambda: "longer than 2000" in alice.driver.find_element(By.ID, "notice").text)
    until("it can be corrected", lambda: line.get_property("value") == "x" * 2001)
    line.clear()

    say("an AI changes the board, and the pages show and tell it")
    result, _ = ai_of_amir.invoke(f"{ROOM}/board", "add_card", title="New gate", column="ideas")
    check(result["status"] == "ok", f"the result of add_card was {result}")
    for board in [alice, amir]:
        until("the card is there", lambda: "New gate" in board.driver.find_element(By.ID, "board").text)
        until("it is told", lambda: board.shows(f"{AMIR}'s AI: added “New gate” to Ideas"))

    say("whatever is written is shown as text")
    alice.says(MARKUP)
    ai_of_alice.says(MARKUP)
    for board in [alice, amir]:
        for who in ["Alice Moreau", "Alice Moreau's AI"]:
            until("it is shown", lambda: board.shows(f"{who}: {MARKUP}"))
        until("the name is shown", lambda: AMIR in board.driver.find_element(By.ID, "people").text)
        check(not board.has_obeyed(), "no page may obey it")
    same_order("with markup", 23, *readers)

    say("an observer sees all and says nothing")
    victor = Board(set_up.browser(server.address), "victor")
    until("he sees everybody", lambda: victor.faces() == [*both, "victor, person, online"])
    check(victor.driver.find_elements(By.CSS_SELECTOR, "form[action^='/board']") == [], "he must have no line")
    script = """
        const body = new URLSearchParams({ text: "Me too" });
        fetch("/board/messages", { method: "POST", body }).then(({ status }) => arguments[0](status));
    """
    check(victor.driver.execute_async_script(script) == FORBIDDEN, "what he says must be refused")
    ai_of_victor = Agent(server.address, victor.token)
    ai_of_victor.join()
    refused = ai_of_victor.says("Me too")
    check(refused["error"]["code"] == "unauthorized", f"the result for his AI was {refused}")
    amir.says("Welcome, Victor")
    for board in [victor, alice, amir]:
        until("the message arrives", lambda: board.shows(f"{AMIR}: Welcome, Victor"))
    check("Me too" not in str(alice.feed()), "nobody may hear what he says")

    say("a page has one connection")
    pages, ais = 3, 3
    metrics = alice.driver.execute_async_script("fetch('/metrics').then((r) => r.text()).then(arguments[0])")
    check(f"\ngrove_connections {pages + ais}\n" in metrics, f"the metrics were {metrics}")
    streams = "return performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/events')).length"
    check(alice.driver.execute_script(streams) == 0, "there must be no other stream")

    say("a reload keeps the place and what the page has shown")
    shown, (seq, _) = amir.feed(), ai_of_alice.told()[-1]
    amir.driver.refresh()
    amir.is_live()
    check(amir.feed() == shown, f"the page must show what it has shown: {amir.feed()} instead of {shown}")
    amir.says("Here again")
    until("the message arrives", lambda: alice.shows(f"{AMIR}: Here again"))
    check(ai_of_alice.kinds_after(seq) == ["message"], f"nobody may notice: {ai_of_alice.kinds_after(seq)}")
    until("his page goes on", lambda: amir.feed()[len(shown):] == alice.feed()[-1:])

    say("what happens while a page is away is a gap in its feed")
    amir.driver.get("about:blank")
    alice.says("Said meanwhile")
    ai_of_alice.says("And this")
    until("both are told", lambda: ai_of_alice.told()[-1][1].endswith("And this"))
    amir.arrive()
    alice.says("Back to work")
    until("the message arrives", lambda: amir.shows("Alice Moreau: Back to work"))
    tail = [words for _, _, words in amir.feed()[-2:]]
    check(tail == ["2 events are missing here", "Alice Moreau: Back to work"], f"the feed ends with {tail}")

    say("a lost network is no coming and going either")
    seq = ai_of_alice.told()[-1][0]
    amir.driver.execute_script("window.stayed = true")
    wire.cut()
    ai_of_alice.says("Into the void")
    until("it connects again", lambda: amir.driver.find_element(By.ID, "status").text == "live")
    alice.says("Once more")
    until("the message arrives", lambda: amir.shows("Alice Moreau: Once more"))
    check(ai_of_alice.kinds_after(seq) == ["message", "message"], "nobody may notice")
    check(amir.driver.execute_script("return window.stayed"), "the page must not have been reloaded")
    numbers = [told for told in amir.told() if told[0] > seq]
    gap = amir.shows("1 event is missing here")
    check(gap != (len(numbers) == 2), f"it is shown or missing: {amir.feed()[-3:]}")

    say("who leaves is gone, and the AI stays")
    amir.leaves()
    until("the face is gone", lambda: "amir, person, online" not in alice.faces())
    until("it is told", lambda: alice.shows(f"{AMIR}: has left"))
    check("amir, AI, online" in alice.faces(), "his AI must stay")
    amir.arrive()
    until("he is back", lambda: "amir, person, online" in alice.faces())

    say("another org learns nothing of it")
    outsider = Agent(server.address, tokens["zoe"])
    refused = outsider.join()
    check(refused["error"]["code"] == "not_found", f"the response was {refused}")
    check(outsider.says("Hello")["error"]["code"] == "not_found", "nor may she say anything")
    victor.driver.find_element(By.CSS_SELECTOR, "form[action='/logout'] button").click()
    until("victor is gone", lambda: not any("victor" in face for face in alice.faces()))
    check(ai_of_victor.close_code() == POLICY_VIOLATION, "his AI must have ended")
    zoe = Board(victor.browser, "zoe")
    until("she sees herself", lambda: zoe.faces() == ["zoe, person, online"])
    alice.says("Just among us")
    until("the message arrives", lambda: amir.shows("Alice Moreau: Just among us"))
    seen = zoe.driver.find_element(By.TAG_NAME, "body").get_property("textContent")
    for word in ["Alice", "Amir", "Just among us", "Acme"]:
        check(word not in seen, f"{word} must not be on her page")
    check([kind for kind, _, _ in zoe.feed()] == ["participant.joined"], f"her feed was {zoe.feed()}")
    until("there are the same as before", lambda: alice.faces() == both)

    say("a logout ends page and AI, and clears what the page has kept")
    amir.driver.find_element(By.CSS_SELECTOR, "form[action='/logout'] button").click()
    until("amir is gone", lambda: alice.faces() == ["alice, AI, online", "alice, person, online"])
    check(ai_of_amir.close_code() == POLICY_VIOLATION, "his AI must have ended")
    until("his page is at the login", lambda: amir.driver.current_url.endswith("/login"))
    check(amir.driver.execute_script("return sessionStorage.length") == 0, "nothing may be kept")
    # In the other browsers refusals were logged.
    amir.browser.check_faults()


if __name__ == "__main__":
    sys.exit(stage.play(__doc__, run))
