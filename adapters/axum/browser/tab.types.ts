// Compiled but never run: `tsc` checks that these uses of the module are accepted and that the marked ones are not.
import { action, publish, type Tab } from "./tab.js";

const tab: Tab = publish({ name: "Inbox", onRefresh: async () => {}, onError: (error) => console.log(error) });

tab.set("route", {
  type: "status",
  props: { path: "/inbox" },
  meta: { salience: 0.9, urgency: "low" },
  actions: {
    navigate: { params: { to: "string" }, description: "Go there", handler: ({ to }) => ({ to }) },
    back: () => history.back(),
    replace: action({
      params: { to: "string", how: { enum: ["slow", "fast"] }, quiet: { type: "boolean", optional: true } },
      handler: ({ to, how, quiet }) => {
        const path: string = to;
        const maybe: boolean | undefined = quiet;
        // @ts-expect-error: it is a string
        const wrong: number = to;
        // @ts-expect-error: it may be absent
        const surely: boolean = quiet;
        return { path, how, maybe, wrong, surely };
      },
    }),
    search: action({
      params: { type: "object", properties: { text: { type: "string", minLength: 1 } }, required: ["text"] },
      handler: async ({ text }) => ({ found: text }),
    }),
    upload: action({ async *handler() { yield { progress: 0.5 }; } }),
  },
});
tab.set("compose/draft", { props: { text: "" }, items: [{ id: "a", props: { n: 1 } }], children: { x: { type: "view" } } });
tab.remove("route");
tab.close();

publish();
publish({ url: new URL("wss://app.example/slop?token=t"), WebSocket, fetch, maxMessageBytes: 1_000_000 });
publish({ onEnd: ({ code, reason, why }) => console.log(code === 401, reason, why === "forbidden") });
// @ts-expect-error: a tab ends only when its credential is refused
publish({ onEnd: ({ why }) => why === "closed" });
// @ts-expect-error: an action needs a handler
tab.set("route", { actions: { navigate: { params: { to: "string" } } } });
// @ts-expect-error: there is no such type
tab.set("route", { actions: { navigate: action({ params: { to: "text" }, handler: () => {} }) } });
// @ts-expect-error: there is no such urgency
tab.set("route", { meta: { urgency: "dire" } });
