// The cluster as a picture: asks this node for the state of the cluster every second, and shows it. Everything shown comes from
// GET /kv-store/status; rates are differences between two answers.

import { ask } from "./access.js";
import { make, write } from "./page.js";

const INTERVAL_MS = 1000;
const TIMEOUT_MS = 5000;
/** Seconds that a line of rates reaches back. */
const HISTORY = 60;
const LAG_NOTABLE_MS = 1000;

const HEALTH = { "ready": "● ready", "not-ready": "▲ not ready", "silent": "■ silent" };

/** What is remembered of each node from answer to answer: its counts, when they were taken, and its rates. */
const remembered = new Map();
/** The boxes of shards, and the tiles of nodes, by their names: kept, so that what is read or focused stays. */
const boxes = new Map();
const tiles = new Map();

const numbers = new Intl.NumberFormat("en");
const count = (number) => numbers.format(Math.round(number));

function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (number >= 1024 && at < units.length - 1) { number /= 1024; at += 1; }
  return `${number < 10 && at > 0 ? number.toFixed(1) : count(number)} ${units[at]}`;
}

function time(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 10_000) return `${count(ms)} ms`;
  if (ms < 120_000) return `${count(ms / 1000)} s`;
  return ms < 7_200_000 ? `${count(ms / 60_000)} min` : `${count(ms / 3_600_000)} h`;
}

const byte = (told) => told === null || told === undefined ? "–" : bytes(told);

/** Per second since the last answer; null where there is none to compare with, or the node has started again. */
function rates(member, now) {
  const told = member.status;
  const before = remembered.get(member.node);
  if (!told) {
    if (before) before.history = [...before.history, 0].slice(-HISTORY);
    return null;
  }
  const counts = told.requests;
  const known = before && told["uptime-ms"] >= before.uptime && now > before.at ? before : null;
  const per = (name) => known ? (counts[name] - known.counts[name]) * 1000 / (now - known.at) : 0;
  const rate = known && {
    gets: per("gets"), puts: per("puts"), deletes: per("deletes"), errors: per("server-errors"),
    contexts: per("contexts"), contextBytes: per("context-bytes"),
  };
  const history = known ? [...known.history, rate.gets + rate.puts + rate.deletes].slice(-HISTORY) : [];
  remembered.set(member.node, { counts, at: now, uptime: told["uptime-ms"], history });
  return rate;
}

function figures(status, rateOf) {
  const told = status.members.filter((member) => member.status).map((member) => member.status);
  const rates = [...rateOf.values()].filter((rate) => rate);
  const sum = (list, of) => list.reduce((total, item) => total + (of(item) ?? 0), 0);
  const members = status.members.filter((member) => member["shard-id"] !== null);
  const ready = members.filter((member) => member.health === "ready").length;
  const contexts = sum(rates, (rate) => rate.contexts);
  const lag = Math.max(0, ...members.map((member) => member["lag-ms"] ?? 0));
  const each = (name) => count(sum(rates, (rate) => rate[name]));
  return [
    ["Members ready", `${ready} of ${members.length}`, `epoch ${status.view.epoch}, factor ${status.view["repl-factor"]}`],
    ["Keys", count(sum(status.shards, (shard) => shard.keys)), `${bytes(sum(status.shards, (shard) => shard.bytes))} of data`],
    ["Requests/s", count(sum(rates, (rate) => rate.gets + rate.puts + rate.deletes)),
      `${each("gets")} get, ${each("puts")} put, ${each("deletes")} delete`],
    ["Errors/s", each("errors"), "answers 5xx"],
    ["Greatest lag", time(lag), "of a replica"],
    ["Context size", contexts > 0 ? bytes(sum(rates, (rate) => rate.contextBytes) / contexts) : "–", "mean, of the last second"],
    ["Windows", bytes(sum(told, (node) => node.window.bytes)), `${count(sum(told, (node) => node.window.writes))} writes not everywhere`],
    ["Memory", bytes(sum(told, (node) => node["memory-bytes"])), "of all processes"],
  ];
}

function showFigures(list) {
  const place = document.getElementById("figures");
  list.forEach(([name, value, note], at) => {
    const figure = place.children[at] ?? place.appendChild(
      make("div", {}, make("dt"), make("dd", {}, make("span"), make("small"))));
    write(figure.querySelector("dt"), name);
    write(figure.querySelector("span"), value);
    write(figure.querySelector("small"), note);
  });
}

function showChange(status) {
  const view = status.view;
  document.getElementById("change").hidden = view.settled;
  if (view.settled) return;
  const bar = document.getElementById("change-bar");
  bar.max = Math.max(1, view["hand-offs-required"]);
  bar.value = view["hand-offs-done"];
  const waiting = status.shards.filter((shard) => !shard.settled).map((shard) => shard["shard-id"]);
  write(document.getElementById("change-text"),
    `${view["hand-offs-done"]} of ${view["hand-offs-required"]} hand-offs are complete; ${count(view["received-keys"])} keys ` +
    `(${bytes(view["received-bytes"])}) have arrived` + (waiting.length ? `; waiting: shard ${waiting.join(", ")}` : ""));
}

function tile(name) {
  const made = make("li", {}, make("p", { class: "address" }), make("p", { class: "health" }), make("p", { class: "why" }));
  const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  line.setAttribute("viewBox", "0 0 60 20");
  line.setAttribute("preserveAspectRatio", "none");
  line.setAttribute("role", "img");
  line.append(document.createElementNS("http://www.w3.org/2000/svg", "polyline"));
  made.append(line, make("dl"), make("progress", { "aria-label": `hand-offs to ${name}` }), make("ul", { class: "links" }));
  tiles.set(name, made);
  return made;
}

function showLine(made, history) {
  const greatest = Math.max(1, ...history);
  const from = HISTORY - history.length;
  const points = history.map((rate, at) => `${(from + at) * 60 / (HISTORY - 1)},${(19 - 18 * rate / greatest).toFixed(1)}`);
  made.querySelector("polyline").setAttribute("points", points.join(" "));
  made.querySelector("svg").setAttribute("aria-label", `requests per second in the last minute, at most ${count(greatest)}`);
}

function why(member) {
  const notes = [...(member.status?.reasons ?? [])];
  if (member.error) notes.push(member.error);
  if (member.health === "silent" && member["heard-ms"] !== null) notes.push(`last heard ${time(member["heard-ms"])} ago`);
  return notes.join("; ");
}

function showMember(member, rate, isAsked) {
  const made = tiles.get(member.node) ?? tile(member.node);
  const told = member.status;
  made.className = `replica ${member.health}`;
  write(made.querySelector(".address"), member.node);
  write(made.querySelector(".health"), HEALTH[member.health] + (isAsked ? ", the node asked" : ""));
  write(made.querySelector(".why"), why(member));
  showLine(made, remembered.get(member.node)?.history ?? []);
  const facts = [["lag", time(member["lag-ms"]), member["lag-ms"] >= LAG_NOTABLE_MS]];
  if (told) {
    const busy = told.work;
    facts.unshift(["requests/s", rate ? count(rate.gets + rate.puts + rate.deletes) : "–", false]);
    facts.push(
      ["data", `${count(told.keys)} keys, ${bytes(told.bytes)}`, false],
      ["memory", byte(told["memory-bytes"]), false],
      ["window", `${bytes(told.window.bytes)} of ${bytes(told.window["bytes-max"])}`, told.window.bytes > 0.8 * told.window["bytes-max"]],
      ["context", rate?.contexts > 0 ? bytes(rate.contextBytes / rate.contexts) : "–", false],
      ["stable", told["stable-age-ms"] === null ? "–" : `${time(told["stable-age-ms"])} ago`, told["stable-age-ms"] >= 10_000],
      ["under way", `${busy.requests}, ${busy.waiting + busy.forwarded + busy.unacknowledged} waiting`, false],
      ["clock", told["wall-ahead-ms"] === null ? "–" : `${told["wall-ahead-ms"]} ms ahead`, Math.abs(told["wall-ahead-ms"]) > 10_000],
      ["up for", time(told["uptime-ms"]), false],
    );
  }
  const list = made.querySelector("dl");
  while (list.children.length > 2 * facts.length) list.lastElementChild.remove();
  facts.forEach(([name, value, isNotable], at) => {
    if (list.children.length <= 2 * at) list.append(make("dt"), make("dd"));
    write(list.children[2 * at], name);
    write(list.children[2 * at + 1], value);
    list.children[2 * at + 1].className = isNotable ? "warn" : "";
  });
  const change = told?.["view-change"];
  const bar = made.querySelector("progress");
  bar.hidden = !change || change["hand-offs-required"] === 0;
  if (!bar.hidden) { bar.max = change["hand-offs-required"]; bar.value = change["hand-offs-done"]; }
  const links = (told?.peers ?? []).map((peer) =>
    make("li", { class: peer.up ? "up" : "down" },
      peer.up ? `hears ${peer.node}, which is ${time(peer["lag-ms"])} behind` : `does not hear ${peer.node}`));
  made.querySelector(".links").replaceChildren(...links);
  return made;
}

function showBox(name, title, text, kind, members) {
  let box = boxes.get(name);
  if (!box) {
    box = make("section", {}, make("h3"), make("p"), make("ul", { class: "replicas" }));
    boxes.set(name, box);
  }
  box.className = `shard ${kind}`;
  write(box.querySelector("h3"), title);
  write(box.querySelector("p"), text);
  const list = box.querySelector(".replicas");
  if (members.length !== list.children.length || members.some((made, at) => list.children[at] !== made)) {
    list.replaceChildren(...members);
  }
  return box;
}

function show(status, now) {
  const rateOf = new Map(status.members.map((member) => [member.node, rates(member, now)]));
  write(document.getElementById("asked"), `as ${status.node} sees it`);
  showFigures(figures(status, rateOf));
  showChange(status);
  const shown = (members) => members.map((member) => showMember(member, rateOf.get(member.node), member.node === status.node));
  const list = status.shards.map((shard) => {
    const members = status.members.filter((member) => member["shard-id"] === shard["shard-id"]);
    const size = shard.keys === null ? "no replica answers" : `${count(shard.keys)} keys, ${bytes(shard.bytes)}`;
    const kind = shard.ready === 0 ? "bad" : shard.ready < members.length || !shard.settled ? "warn" : "";
    const state = shard.settled ? "" : "; waits for keys of a former view";
    return showBox(`shard ${shard["shard-id"]}`, `Shard ${shard["shard-id"]}`,
      `${size}; ${shard.ready} of ${members.length} replicas ready${state}`, kind, shown(members));
  });
  const others = status.members.filter((member) => member["shard-id"] === null);
  if (others.length) {
    list.push(showBox("others", "Outside the view", "spares, and nodes that have left and still hand over", "", shown(others)));
  }
  const place = document.getElementById("shards");
  if (list.length !== place.children.length || list.some((box, at) => place.children[at] !== box)) place.replaceChildren(...list);
}

let failedSince = null;

async function look() {
  const live = document.getElementById("live");
  try {
    const response = await ask("/kv-store/status", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.status === 401) {
      failedSince = null;
      write(live, "a token is needed");
      live.className = "bad";
      return;
    }
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json(), performance.now());
    failedSince = null;
    write(live, "live");
    live.className = "good";
  } catch (error) {
    failedSince ??= performance.now();
    write(live, `this node has not answered for ${time(performance.now() - failedSince)}: what is shown is old`);
    live.className = "bad";
    console.warn("the state cannot be had:", error);
  }
}

async function run() {
  const begun = performance.now();
  // Nobody looks: nothing is asked.
  if (!document.hidden) await look();
  setTimeout(run, Math.max(0, INTERVAL_MS - (performance.now() - begun)));
}

run();
