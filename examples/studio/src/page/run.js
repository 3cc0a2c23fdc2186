// One run as a page shows it. Whatever agents and people write is text, and never markup.
const ENDED = ["done", "failed", "cancelled", "timed_out"];

export class Run {
  element;
  #invoke;
  #parts;
  // The characters that are shown, counted as the server counts them.
  #shown = 0;
  #status;
  // Nothing of it is missing, and nothing follows.
  #isWhole = false;

  // `invoke` calls an action of the run's node.
  constructor(element, invoke) {
    this.element = element;
    this.#invoke = invoke;
    const part = (name) => element.querySelector(name);
    this.#parts = {
      by: part(".by"), state: part(".state"), progress: part("progress"), message: part(".message"), tools: part(".tools"),
      output: part(".output"), result: part(".result"), steer: part(".steer"), cancel: part(".cancel"),
    };
    // If it has ended meanwhile, the tree says so.
    this.#parts.cancel.addEventListener("click", () => invoke("cancel").catch(() => {}));
    this.#parts.steer.addEventListener("submit", (event) => {
      event.preventDefault();
      const { data } = event.target.elements;
      invoke("send", { data: data.value }).then(() => { data.value = ""; }, () => {});
    });
  }

  // Takes over how it stands, as the tree says. An action that this person may not use is not in the tree.
  show({ properties, affordances = [] }) {
    const { agent, by, status, progress, message, error } = properties;
    const { by: head, state, progress: bar, message: line, result, steer, cancel } = this.#parts;
    const may = (name) => affordances.some(({ action }) => action === name);
    const hasEnded = ENDED.includes(status);
    this.element.dataset.status = status;
    head.textContent = `${agent}, started by ${by}: `;
    state.textContent = status.replace("_", " ");
    bar.hidden = hasEnded || progress === undefined;
    bar.value = progress ?? 0;
    line.textContent = hasEnded ? "" : message ?? "";
    steer.hidden = !may("send");
    cancel.hidden = !may("cancel");
    if (error) result.textContent = `${error.code}: ${error.message}`;
    this.#status = status;
    if (hasEnded) this.read();
  }

  // Whether the tree has shown it.
  get isKnown() {
    return this.#status !== undefined;
  }

  // Takes an event of the run.
  take(kind, { offset, text, name, arguments: given, ok, result }) {
    if (kind === "run.chunk" && offset <= this.#shown) this.#append(offset, text);
    else if (kind === "run.chunk") this.read();
    if (kind === "run.tool_call") this.#tell(`${name} ${JSON.stringify(given)}`);
    if (kind === "run.tool_result") this.#tell(`${ok ? "→" : "failed:"} ${JSON.stringify(result)}`);
  }

  // Of what overlaps, only the new part is appended.
  #append(offset, text) {
    const fresh = [...text].slice(this.#shown - offset);
    this.#parts.output.append(fresh.join(""));
    this.#shown += fresh.length;
  }

  #tell(line) {
    const item = document.createElement("li");
    item.textContent = line;
    this.#parts.tools.append(item);
  }

  // Reads what has been written beyond what is shown, and the result if there is one.
  async read() {
    if (this.#isWhole) return;
    try {
      const hasEnded = ENDED.includes(this.#status);
      for (let offset = this.#shown; offset !== null; ) {
        const { data: { text, next, result } } = await this.#invoke("output", { offset });
        this.#append(offset, text);
        if (result !== null) this.#parts.result.textContent = JSON.stringify(result);
        offset = next;
      }
      this.#isWhole = hasEnded;
    } catch {
      // The run or the connection is gone, which the tree shows.
    }
  }
}
