// Reads and writes keys in a causal session: the context of every answer goes with the next request.

import { ask } from "./access.js";
import { make, write } from "./page.js";

/** Characters of a value that are shown. */
const SHOWN_MAX = 100_000;

const form = document.getElementById("operation");
const buttons = [...form.querySelectorAll("button")];
let context = "";

/** The JSON of what stands in the field: itself if it is JSON, else a string. Its text is kept, so that numbers stay as they are. */
function asJson(text) {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}

function askFor(method, key, value) {
  const headers = { "Causal-Context": context };
  if (method === "PUT") headers["Content-Type"] = "application/json";
  const body = method === "PUT" ? `{"value":${asJson(value)}}` : undefined;
  const path = `/kv-store/keys/${encodeURIComponent(key)}${method === "GET" ? "?raw" : ""}`;
  return ask(path, { method, headers, body });
}

function tell(kind, text, value) {
  const parts = [make("p", { class: kind }, text)];
  if (value !== undefined) parts.push(make("pre", { tabindex: "0", "aria-label": "value" }, value));
  document.getElementById("outcome").replaceChildren(...parts);
}

function tellSession() {
  write(document.getElementById("session"), context === ""
    ? "The session has seen nothing yet."
    : `The session's context has ${context.length} bytes.`);
}

/** Where the answer came from, and what it is worth. */
function about(response) {
  const told = (name) => response.headers.get(name);
  const parts = [told("precede-node") && `by ${told("precede-node")}`, told("precede-acks") && `on ${told("precede-acks")} replicas`,
    told("precede-version") && `version ${told("precede-version")}`, told("precede-reason")];
  return parts.filter((part) => part).join(", ");
}

async function operate(method, key, value) {
  const response = await askFor(method, key, value);
  context = response.headers.get("causal-context") ?? context;
  const body = await response.text();
  const kind = response.ok ? "good" : "bad";
  if (response.ok && method === "GET") {
    const type = response.headers.get("content-type") ?? "";
    const isWhole = body.length <= SHOWN_MAX;
    tell(kind, `Read ${about(response)} (${type}).` + (isWhole ? "" : " Only its beginning is shown."), body.slice(0, SHOWN_MAX));
    // What can be written back as it is.
    if (isWhole && type.startsWith("application/json")) form.elements.value.value = body;
    return;
  }
  const said = JSON.parse(body);
  const text = said.error ?? said.message;
  tell(response.status === 404 ? "" : kind, `${text}${about(response) && `: ${about(response)}`} (status ${response.status}).`);
}

async function run(what) {
  if (what === "forget") {
    context = "";
    document.getElementById("outcome").replaceChildren();
    tellSession();
    return;
  }
  if (!form.reportValidity()) return;
  const method = { read: "GET", write: "PUT", delete: "DELETE" }[what];
  buttons.forEach((button) => { button.disabled = true; });
  try {
    await operate(method, form.elements.key.value, form.elements.value.value);
  } catch (error) {
    tell("bad", `No answer: ${error.message}.` + (method === "GET" ? "" : " It may have taken effect or not."));
  }
  buttons.forEach((button) => { button.disabled = false; });
  buttons.find((button) => button.value === what).focus();
  tellSession();
}

form.addEventListener("submit", (event) => { event.preventDefault(); run("read"); });
for (const button of buttons.filter((button) => button.type === "button")) button.addEventListener("click", () => run(button.value));
tellSession();
