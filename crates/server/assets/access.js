// Asks this node, and shows a token where the cluster wants one. The token is kept as long as the tab, and nowhere else.

import { write } from "./page.js";

const TIMEOUT_MS = 10_000;
const KEPT = "precede-token";

const form = document.getElementById("access");
const leave = document.getElementById("leave");

/** Asks for a path. An answer of 401 brings up the field for a token. */
export async function ask(path, options = {}) {
  const token = sessionStorage.getItem(KEPT);
  const headers = token === null ? options.headers : { ...options.headers, Authorization: `Bearer ${token}` };
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS), ...options, headers });
  if (token === sessionStorage.getItem(KEPT)) tell(token, response.status === 401);
  return response;
}

function tell(token, isUnknown) {
  form.hidden = !isUnknown;
  leave.hidden = token === null;
  if (!isUnknown) return;
  write(document.getElementById("access-text"), token === null
    ? "This cluster shows itself to those who have a token."
    : "This token is not known here, or not any more.");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEPT, form.elements.token.value.trim());
  form.reset();
  form.hidden = true;
});
leave.addEventListener("click", () => {
  sessionStorage.removeItem(KEPT);
  location.reload();
});
