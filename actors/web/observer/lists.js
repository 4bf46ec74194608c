// The lists: events on their time line, dead letters, the log. Each is made anew only if what it shows is different, so that
// text in it can be selected.
import {model} from "./model.js";
import {shape, time_line} from "./charts.js";
import {chosen_path, filter_words, fits, go_to} from "./tree.js";

const by_id = id => document.getElementById(id);
const time_of = ms => new Date(ms).toLocaleTimeString();

export function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
function path_link(path) {
  if (!path.startsWith("/")) return path;  // of who has none: "outside"
  const made = element("a", path);
  made.addEventListener("click", () => { by_id("show_tree").click(); go_to(path); });
  return made;
}
/// Rows of cells: texts, or [text, class], or elements.
export function table(heads, rows, kinds = []) {
  const made = element("table");
  const head = element("tr");
  head.append(...heads.map(h => element("th", h)));
  made.append(head, ...rows.map(cells => {
    const row = element("tr");
    row.append(...cells.map((cell, i) => {
      const box = element("td", undefined, kinds[i]);
      if (Array.isArray(cell)) {
        box.append(cell[0]);
        if (cell[1]) box.classList.add(cell[1]);
      } else {
        box.append(cell instanceof Node ? cell : String(cell));
      }
      return box;
    }));
    return row;
  }));
  return made;
}
const nothing = text => element("p", text, "nothing");

const drawn = new Map();  // section -> what it was made of
/// Whether a section has to be made anew: some of what it is made of is another one.
function is_new(section, ...of) {
  const before = drawn.get(section);
  if (before && before.length === of.length && before.every((each, i) => each === of[i])) return false;
  drawn.set(section, of);
  return true;
}

export const kind_of_event = e => ({restart: "warn", process: e.text.includes("has gone") ? "bad" : "", silent: "bad", heard: ""})[e.kind] ?? "";
export const tick_of = e => ({time: e.time, kind: kind_of_event(e), title: `${time_of(e.time)} ${e.path}: ${e.text}`, lane: e.path});

const most_lanes = 12;
const minutes = 10;
export function draw_events() {
  const words = filter_words();
  const section = by_id("events");
  const minute = Math.floor(Date.now() / 5000);
  if (!is_new(section, model.events, words.join(" "), minute)) return;
  const all = model.events.filter(e => fits(`${e.path} ${e.text} ${e.kind}`.toLowerCase(), words));
  if (!all.length) return section.replaceChildren(nothing(words.length ? "No event fits the filter." : "No restart and no loss since the observer began."));
  const counts = new Map();
  for (const e of all) counts.set(e.path, (counts.get(e.path) || 0) + 1);
  const lanes = [...counts].sort((a, b) => b[1] - a[1]).slice(0, most_lanes).map(each => each[0]).sort();
  const picture = shape("svg", {role: "img", "aria-label": "events of the last ten minutes, by actor", height: Math.max(2, lanes.length) * 22 + 20, width: "100%"});
  const list = table(["time", "what", "path", "how"], all.slice().reverse().map(e => [time_of(e.time), [e.kind, kind_of_event(e)], path_link(e.path), e.text]), ["short", "short", "path", ""]);
  const chart = element("div", undefined, "chips");
  chart.append(picture);
  section.replaceChildren(chart, list);
  time_line(picture, all.filter(e => lanes.includes(e.path)).map(tick_of), minutes, lanes.length > 1 ? lanes : [lanes[0], ""]);
}

export function draw_letters() {
  const words = filter_words();
  const section = by_id("letters");
  if (!is_new(section, model.letters, words.join(" "))) return;
  const reasons = new Map();
  for (const n of model.nodes.nodes) for (const [why, count] of Object.entries(n.reasons)) reasons.set(why, (reasons.get(why) || 0) + count);
  const chips = element("div", undefined, "chips");
  chips.append(...[...reasons].sort((a, b) => b[1] - a[1]).map(([why, count]) => element("span", `${why}: ${count.toLocaleString("en")}`, "pill warn")));
  const all = model.letters.last.filter(l => fits(`${l.node} ${l.message} ${l.target} ${l.sender || ""} ${l.reason}`.toLowerCase(), words));
  if (!all.length) return section.replaceChildren(chips, nothing(words.length ? "No dead letter fits the filter." : "Everything that was sent has been delivered."));
  section.replaceChildren(chips, table(["node", "message", "to", "from", "reason"], all.map(l => [l.node, l.message, path_link(l.target), l.sender ? path_link(l.sender) : "", [l.reason, "warn"]]).reverse(), ["short", "path", "path", "path", "short"]));
}

const levels = ["trace", "debug", "info", "warn", "error"];
const kind_of_level = {warn: "warn", error: "bad", debug: "faint", trace: "faint"};
export function draw_log() {
  const words = filter_words();
  const section = by_id("log");
  const least = levels.indexOf(by_id("level").value);
  const below = by_id("below").checked ? chosen_path() : "";
  if (by_id("hold").checked || !is_new(section, model.log, words.join(" "), least, below)) return;
  const all = model.log.filter(l => levels.indexOf(l.level) >= least && (!below || l.path === below || l.path.startsWith(below + "/")) && fits(`${l.path} ${l.text}`.toLowerCase(), words));
  if (!all.length) return section.replaceChildren(nothing(model.log.length ? "No record fits the filter." : "Nothing has been logged since the observer began."));
  const rows = all.map(l => [time_of(l.time), [l.level, kind_of_level[l.level]], path_link(l.path), (l.dropped ? `(${l.dropped} records before it were dropped) ` : "") + l.text + (l.pid ? `  [${l.pid}]` : "")]);
  section.replaceChildren(table(["time", "level", "actor", "text"], rows.reverse(), ["short", "short", "path", "text"]));
}
