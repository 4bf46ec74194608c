// The observer's page: the connection, what is drawn when, and the parts that every view shows. It is told everything over one
// WebSocket and asks for actions over the same; when that is lost it connects again, and is told everything anew.
import {model, take, begin_anew, totals, troubles, actors, mail_of, sample} from "./model.js";
import {line, columns, time_line, short, micros} from "./charts.js";
import {arrange, begin_tree} from "./tree.js";
import {begin_detail, draw_detail, lock_again, sample_detail} from "./detail.js";
import {draw_events, draw_letters, draw_log, tick_of} from "./lists.js";
import {draw_network} from "./network.js";

const by_id = id => document.getElementById(id);
const rest = 200;             // milliseconds from one drawing of news to the next: rows come in many messages
const first_wait = 250, last_wait = 5000;  // before it connects again
let view = "tree";

// ---- the connection

let socket;
let wait = first_wait;
let last_call = 0;
const calls = new Map();
function state(text, kind) {
  by_id("link").textContent = text;
  by_id("link").className = `pill ${kind}`;
}
function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${location.pathname}live${location.search}`);
  socket.onopen = () => {
    begin_anew();
    wait = first_wait;
    lock_again();
    state("waiting for the first look", "warn");
  };
  socket.onmessage = event => {
    const m = JSON.parse(event.data);
    if (m.topic) {
      if (take(m)) draw_soon();
      return;
    }
    calls.get(m.id)?.(m);
    calls.delete(m.id);
  };
  socket.onclose = event => {
    state(`not connected${event.reason ? `: ${event.reason}` : ""}; trying again`, "bad");
    for (const done of calls.values()) done({error: "closed", text: "the connection is lost; whether it was done is not known"});
    calls.clear();
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, last_wait);
  };
}
function call(name, given) {
  return new Promise(done => {
    if (socket.readyState !== WebSocket.OPEN) return done({error: "closed", text: "not connected"});
    calls.set(++last_call, done);
    socket.send(JSON.stringify({id: last_call, call: name, with: given}));
  });
}

// ---- what every view shows

const steps = [[0, "0"], [1, "1"], [9, "2-9"], [99, "10-99"], [999, "100-999"], [9999, "1k-"], [Infinity, "10k-"]];
function draw_mail() {
  const counts = steps.map(() => 0);
  for (const a of actors()) {
    const mail = mail_of(a);
    ++counts[steps.findIndex(step => mail <= step[0])];
  }
  columns(by_id("chart_mail"), steps.map(([, label], i) => ({label, value: counts[i], kind: i > 4 ? "bad" : i > 3 ? "warn" : "", title: `${counts[i].toLocaleString("en")} actors have ${label} messages waiting`})));
}
// Of all nodes, since the observer began.
function draw_answers() {
  const bounds = model.about.answer_bounds_us;
  const counts = [...bounds, 0].map((_, i) => model.nodes.nodes.reduce((sum, n) => sum + (n.answers?.[i] || 0), 0));
  const first = counts.findIndex(c => c), last = counts.findLastIndex(c => c);
  const all = counts.map((value, i) => {
    const label = i < bounds.length ? micros(bounds[i]) : "more";
    return {label, value, kind: (bounds[i] ?? Infinity) > 200000 ? "bad" : bounds[i] > 50000 ? "warn" : "", title: `${value.toLocaleString("en")} times, at most ${label}`};
  });
  columns(by_id("chart_answers"), first < 0 ? [] : all.slice(Math.max(0, first - 1), last + 2));
  const half = counts.reduce((sum, c) => sum + c, 0) / 2;
  let sum = 0;
  const middle = counts.findIndex(c => (sum += c) >= half);
  by_id("now_answers").textContent = first < 0 ? "" : `half in ${middle < bounds.length ? micros(bounds[middle]) : "more"}`;
}
const words = {actors: "actor", nodes: "node", restarts: "restart", dead: "dead letter"};
function draw_head() {
  const sum = totals();
  for (const [id, number] of Object.entries(sum)) {
    by_id(id).textContent = number.toLocaleString("en");
    if (words[id]) by_id(id).nextSibling.textContent = ` ${words[id]}${number === 1 ? "" : "s"}`;
  }
  by_id("title").textContent = model.about.tree || "Coppice";
  document.title = `${model.about.tree || "Coppice"} – Coppice`;
  const said = troubles();
  if (model.nodes.hidden) said.push(`${model.nodes.hidden.toLocaleString("en")} actors are not shown: observer_options::actors bounds them`);
  by_id("trouble").hidden = said.length === 0;
  by_id("trouble").textContent = said.join("; ");
  by_id("now_rate").textContent = short(sum.rate);
  line(by_id("chart_rate"), model.rates, 150);
  draw_mail();
  draw_answers();
  time_line(by_id("chart_events"), model.events.map(e => ({...tick_of(e), lane: ""})), 10);
}

// ---- when it is drawn

const views = {tree: arrange, network: draw_network, events: draw_events, letters: draw_letters, log: draw_log};
let drawing = 0;
function draw_soon() { drawing ||= setTimeout(draw, rest); }
function draw() {
  clearTimeout(drawing);
  drawing = 0;
  if (!model.is_whole) return;
  if (socket.readyState === WebSocket.OPEN) state("live", "good");
  draw_head();
  views[view]();
  draw_detail();
}
function show(name) {
  view = name;
  for (const each of document.querySelectorAll("nav [role=tab]")) each.setAttribute("aria-selected", String(each.dataset.view === name));
  for (const each of document.querySelectorAll("main section")) each.hidden = each.id !== name;
  for (const each of document.querySelectorAll("nav [data-of]")) each.hidden = each.dataset.of !== name;
  draw();
}

// ---- the switch of colours

const themes = ["system", "light", "dark"];
function set_theme(name) {
  by_id("theme").textContent = name;
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try { localStorage.setItem("coppice-theme", name); } catch { /* where nothing may be kept, it is chosen anew */ }
}
function kept_theme() {
  try { return localStorage.getItem("coppice-theme"); } catch { return null; }
}

by_id("theme").addEventListener("click", () => set_theme(themes[(themes.indexOf(by_id("theme").textContent) + 1) % themes.length]));
set_theme(themes.includes(kept_theme()) ? kept_theme() : "system");
for (const tab of document.querySelectorAll("nav [role=tab]")) tab.addEventListener("click", () => show(tab.dataset.view));
for (const id of ["filter", "order", "level", "below", "hold"]) by_id(id).addEventListener("input", draw);
addEventListener("keydown", event => {
  if (event.key !== "/" || ["INPUT", "SELECT"].includes(document.activeElement?.tagName)) return;
  event.preventDefault();
  by_id("filter").focus();
});
addEventListener("resize", draw_soon);
begin_tree(draw);
begin_detail(call);
setInterval(() => { sample(); sample_detail(); draw_soon(); }, 1000);
connect();
