// The actors as a tree, or as a list in an order of their figures. Of thousands of rows only those are elements that can be
// seen; these are used again, so that what is pressed is still there when it is let go.
import {actors, find, mail_of, health_of} from "./model.js";
import {short} from "./charts.js";

const row_height = 24;
const beyond = 8;           // rows above and below the visible ones
const many_children = 60;   // more are folded until somebody unfolds them
const by_id = id => document.getElementById(id);

let visible = [];           // {actor, depth, children, folded}
const chosen_folds = new Map();  // path -> whether it is folded, as somebody chose
const pool = [];
let chosen = "";
let on_choice = () => {};

export const chosen_path = () => chosen;
export function choose(path) {
  chosen = path;
  on_choice();
}
/// Unfolds what is above it, and brings it into view.
export function go_to(path) {
  by_id("filter").value = "";
  by_id("order").value = "path";
  for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) chosen_folds.set(path.slice(0, at), false);
  choose(path);
  arrange();
  show_chosen();
}

// In the order of a tree a path's parts are compared, not its letters: "/a/b" stands before "/a-b", and 9 before 10.
const keys = new Map();
function key_of(path) {
  let key = keys.get(path);
  if (key === undefined) keys.set(path, key = path.replaceAll("/", "\u0001").replace(/\d+/g, digits => digits.padStart(10, "0")));
  return key;
}
function sorted_by_path() {
  const all = [];
  for (const a of actors()) all.push([key_of(a.path), a]);
  if (keys.size > 2 * all.length + 1000) keys.clear();  // of actors that have gone
  all.sort((x, y) => x[0] < y[0] ? -1 : x[0] > y[0] ? 1 : 0);
  return all.map(each => each[1]);
}

function as_tree(sorted) {
  const children = new Map();
  for (const a of sorted) {
    const parent = a.path.slice(0, a.path.lastIndexOf("/"));
    children.set(parent, (children.get(parent) || 0) + 1);
  }
  const rows = [];
  let below = "";
  for (const a of sorted) {
    if (below && a.path.startsWith(below)) continue;
    const count = children.get(a.path) || 0;
    const depth = a.path.split("/").length - 2;
    const folded = count > 0 && (chosen_folds.get(a.path) ?? (count > many_children && depth > 0));
    rows.push({actor: a, depth, children: count, folded});
    below = folded ? a.path + "/" : "";
  }
  return rows;
}

const figures = {rate: a => a.rate || 0, mail: mail_of, restarts: a => a.restarts || 0};
export function fits(text, filter) { return filter.every(word => text.includes(word)); }
export const filter_words = () => by_id("filter").value.toLowerCase().split(/\s+/).filter(word => word);

/// Which rows there are, from what is known now.
export function arrange() {
  const words = filter_words();
  const figure = figures[by_id("order").value];
  let all = sorted_by_path();
  const count = all.length;
  if (!figure && words.length === 0) {
    visible = as_tree(all);
  } else {
    if (words.length) all = all.filter(a => fits(`${a.path} ${a.state} ${a.carrier} ${a.in_hand || ""}`.toLowerCase(), words));
    if (figure) all.sort((a, b) => figure(b) - figure(a));  // stable: then by path
    visible = all.map(actor => ({actor, depth: -1, children: 0, folded: false}));
  }
  by_id("count").textContent = words.length ? `${visible.length.toLocaleString("en")} of ${count.toLocaleString("en")}` : "";
  by_id("nobody").hidden = visible.length > 0 || !words.length;
  draw_rows();
}

function element(name, kind) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  return made;
}
function new_row() {
  const row = element("div", "grid row");
  row.setAttribute("role", "row");
  const name = element("span", "name");
  const cells = {name, fold: element("span", "fold"), dot: element("span", "dot"), text: element("span"), more: element("span", "more"),
    carrier: element("span", "faint"), state: element("span"), mail: element("span"), meter: element("span", "meter"), level: element("i"), depth: element("span"),
    rate: element("span", "number"), received: element("span", "number faint"), restarts: element("span", "number")};
  name.append(cells.fold, cells.dot, cells.text, cells.more);
  cells.meter.append(cells.level);
  cells.mail.append(cells.meter, cells.depth);
  row.append(name, cells.carrier, cells.state, cells.mail, cells.rate, cells.received, cells.restarts);
  for (const cell of row.children) cell.setAttribute("role", "gridcell");
  return {row, cells};
}
function put(cell, text) { if (cell.textContent !== text) cell.textContent = text; }
function fill({row, cells}, {actor: a, depth, children, folded}, index) {
  row.style.top = `${index * row_height}px`;
  row.dataset.path = a.path;
  row.classList.toggle("chosen", a.path === chosen);
  row.setAttribute("aria-selected", String(a.path === chosen));
  if (children) row.setAttribute("aria-expanded", String(!folded));
  else row.removeAttribute("aria-expanded");
  const health = health_of(a);
  put(cells.fold, children ? folded ? "▸" : "▾" : "");
  cells.fold.hidden = depth < 0;
  cells.name.style.paddingLeft = depth > 0 ? `${depth * 1.15}rem` : "";
  cells.name.title = a.path;
  cells.dot.className = `dot ${health}`;
  put(cells.text, depth > 0 ? a.path.slice(a.path.lastIndexOf("/") + 1) : a.path);
  put(cells.more, folded ? `${children.toLocaleString("en")} below` : "");
  put(cells.carrier, a.carrier);
  cells.carrier.title = `${a.carrier}, on node ${a.node}`;
  put(cells.state, a.state);
  cells.state.className = health === "good" ? "" : health;
  const mail = mail_of(a);
  const share = a.capacity ? mail / a.capacity : 0;
  cells.meter.className = `meter ${!mail ? "none" : share > 0.8 ? "bad" : share > 0.3 ? "warn" : ""}`;
  cells.level.style.width = mail ? `${Math.max(4, Math.min(100, share * 100))}%` : "0";
  put(cells.depth, mail ? [a.normal && short(a.normal), a.priority && `${short(a.priority)} priority`, a.system && `${short(a.system)} system`].filter(x => x).join(", ") : "");
  cells.mail.title = `${a.normal || 0} normal, ${a.priority || 0} priority, ${a.system || 0} system, of ${a.capacity || 0}; ${a.stashed || 0} stashed`;
  put(cells.rate, a.rate ? short(a.rate) : "");
  put(cells.received, a.received ? a.received.toLocaleString("en") : "");
  put(cells.restarts, a.restarts ? String(a.restarts) : "");
  cells.restarts.className = a.restarts ? "number warn" : "number";
}

function draw_rows() {
  const frame = by_id("tree");
  by_id("space").style.height = `${visible.length * row_height}px`;
  const first = Math.max(0, Math.floor(frame.scrollTop / row_height) - beyond);
  const last = Math.min(visible.length, Math.ceil((frame.scrollTop + frame.clientHeight) / row_height) + beyond);
  while (pool.length < last - first) {
    const made = new_row();
    pool.push(made);
    by_id("space").append(made.row);
  }
  pool.forEach((each, i) => {
    each.row.hidden = i >= last - first;
    if (!each.row.hidden) fill(each, visible[first + i], first + i);
  });
}

function show_chosen() {
  const at = visible.findIndex(each => each.actor.path === chosen);
  if (at < 0) return;
  const frame = by_id("tree");
  const top = at * row_height;
  if (top < frame.scrollTop) frame.scrollTop = top;
  else if (top + 3 * row_height > frame.scrollTop + frame.clientHeight) frame.scrollTop = top + 3 * row_height - frame.clientHeight;
  draw_rows();
}
function set_folded(path, folded) {
  chosen_folds.set(path, folded);
  arrange();
}

function on_key(event) {
  const at = visible.findIndex(each => each.actor.path === chosen);
  const row = visible[at];
  const moves = {ArrowDown: at + 1, ArrowUp: Math.max(0, at - 1), PageDown: at + 20, PageUp: Math.max(0, at - 20), Home: 0, End: visible.length - 1};
  if (event.key in moves && visible.length) choose(visible[Math.min(moves[event.key], visible.length - 1)].actor.path);
  else if (event.key === "ArrowRight" && row?.folded) set_folded(chosen, false);
  else if (event.key === "ArrowLeft" && row?.children && !row.folded) set_folded(chosen, true);
  else if (event.key === "ArrowLeft" && row && find(chosen.slice(0, chosen.lastIndexOf("/")))) choose(chosen.slice(0, chosen.lastIndexOf("/")));
  else if (event.key === "Escape") choose("");
  else return;
  event.preventDefault();
  show_chosen();
}

/// Once. `when_chosen` is called whenever another actor, or none, is chosen.
export function begin_tree(when_chosen) {
  on_choice = when_chosen;
  by_id("tree").addEventListener("scroll", draw_rows, {passive: true});
  by_id("space").addEventListener("keydown", on_key);
  by_id("space").addEventListener("click", event => {
    const row = event.target.closest(".row");
    if (!row) return;
    const shown = visible.find(each => each.actor.path === row.dataset.path);
    if (event.target.closest(".fold") && shown?.children) set_folded(row.dataset.path, !shown.folded);
    else choose(chosen === row.dataset.path ? "" : row.dataset.path);
    draw_rows();
  });
  by_id("space").addEventListener("dblclick", event => {
    const shown = visible.find(each => each.actor.path === event.target.closest(".row")?.dataset.path);
    if (shown?.children) set_folded(shown.actor.path, !shown.folded);
  });
}
