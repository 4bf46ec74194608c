// The nodes of the tree as a graph: who is below whom, links with what goes over them, flows that wait or go over others, and,
// of the node that is chosen, its routes and how long its turns take. Below it the same as tables, with all figures.
import {model} from "./model.js";
import {shape, titled, short, columns, duration} from "./charts.js";
import {element, table} from "./lists.js";

const box = {width: 176, height: 58, gap_x: 26, gap_y: 66, columns: 6};
const most_drawn = 400;   // nodes; the tables have all
const lane_names = ["normal", "priority", "system"];
let chosen = "";

// ---- what there is

function vertex(all, name) {
  if (!all.has(name)) all.set(name, {name, kind: "other", parent: "", lines: [], children: []});
  return all.get(name);
}
function link_rate(node, link) {
  const before = model.before?.nodes.nodes.find(n => n.name === node.name && n.pid === node.pid)?.links.find(l => l.node === link.node && l.address === link.address);
  const seconds = model.before?.seconds;
  const of = name => before && seconds > 0 && link[name] >= before[name] ? (link[name] - before[name]) / seconds : 0;
  return {out: of("bytes_out"), in: of("bytes_in")};
}
function described(all, n) {
  const v = vertex(all, n.name);
  const stuck = n.schedulers.filter(s => s.stuck || !s.answered).length;
  v.kind = stuck ? "warn" : "good";
  const waits = n.answer_us ? `, answers in ${n.answer_us < 1000 ? `${n.answer_us} µs` : `${short(n.answer_us / 1000)} ms`}` : "";
  v.lines = [`pid ${n.pid}${waits}`, `${n.schedulers.length} scheduler${n.schedulers.length === 1 ? "" : "s"}, ${n.schedulers.reduce((sum, s) => sum + s.actors, 0).toLocaleString("en")} actors${stuck ? `, ${stuck} stuck` : ""}`];
  for (const l of n.links) {
    if (l.role === "child") vertex(all, l.node).parent = n.name;
    else if (l.role === "parent") { if (l.node) { v.parent = l.node; vertex(all, l.node); } }
    else if (l.node) vertex(all, l.node);
  }
}
function processed(all, n, p) {
  const v = vertex(all, p.path.slice(1));
  v.parent ||= n.name;
  if (p.pid === 0 || p.state === "ending" || p.state === "starting") v.kind = "warn";
  if (p.state === "silent" || p.state === "stuck") v.kind = "bad";
  if (v.lines.length) v.lines[1] += `, over ${p.transport}`;
  else v.lines = [`pid ${p.pid || "none yet"}`, `${p.state}, over ${p.transport}`];
}
function vertices() {
  const all = new Map();
  for (const n of model.nodes.nodes) described(all, n);
  for (const n of model.nodes.nodes) for (const p of n.processes) processed(all, n, p);
  for (const s of model.nodes.silent) Object.assign(vertex(all, s.path.slice(1)), {kind: "bad", lines: ["does not answer", s.why]});
  for (const v of all.values()) {
    if (v.kind === "other") v.lines = ["a guest, or a neighbour", "that is not observed"];
    const parent = all.get(v.parent);
    if (parent && parent !== v && !is_above(all, v, parent)) parent.children.push(v);
    else v.parent = "";
  }
  return all;
}
// A ring, of what nodes say at different times, would have no root.
function is_above(all, v, at) {
  for (let steps = 0; at && steps <= all.size; ++steps, at = all.get(at.parent)) if (at === v) return true;
  return false;
}

// ---- where it stands

// Children without children of their own stand in rows of a few, the others beside them.
function place(v, left, top) {
  v.y = top;
  const below = top + box.height + box.gap_y;
  let x = left, depth = top + box.height;
  const leaves = v.children.filter(c => !c.children.length);
  leaves.forEach((leaf, i) => {
    leaf.x = left + (i % box.columns) * (box.width + box.gap_x);
    leaf.y = below + Math.floor(i / box.columns) * (box.height + 22);
    x = Math.max(x, leaf.x + box.width + box.gap_x);
    depth = Math.max(depth, leaf.y + box.height);
  });
  for (const child of v.children.filter(c => c.children.length)) {
    const [end, low] = place(child, x, below);
    x = end;
    depth = Math.max(depth, low);
  }
  const end = Math.max(x, left + box.width + box.gap_x);
  v.x = left + (end - left - box.gap_x - box.width) / 2;
  return [end, depth];
}

// ---- how it is drawn

const middle = v => [v.x + box.width / 2, v.y + box.height / 2];
function curve(a, b) {
  const [x1, y1] = middle(a), [x2, y2] = middle(b);
  if (a.y === b.y) return `M${x1},${a.y} C${x1},${a.y - 40} ${x2},${b.y - 40} ${x2},${b.y}`;
  const [from, to] = a.y < b.y ? [a.y + box.height, b.y] : [a.y, b.y + box.height];
  const half = (from + to) / 2;
  return `M${x1},${from} C${x1},${half} ${x2},${half} ${x2},${to}`;
}
const bytes = number => `${short(number)}B`;
function draw_links(all, n) {
  return n.links.flatMap(l => {
    const from = all.get(n.name), to = all.get(l.node);
    const seen_from_above = to && (l.role === "child" || l.role !== "parent" && n.name < l.node || !model.nodes.nodes.some(each => each.name === l.node));
    if (!from || !to || !seen_from_above) return [];
    const rate = link_rate(n, l);
    const both = rate.out + rate.in;
    const drawn = titled(shape("path", {class: `link ${l.state === "up" ? "" : "warn"}`, d: curve(from, to), "stroke-width": (1.5 + Math.log10(1 + both) * 0.6).toFixed(1)}),
      `${n.name} to ${l.node}: ${l.role}, ${l.state}${l.address ? `, at ${l.address}` : ""}; ${bytes(l.bytes_out)} out, ${bytes(l.bytes_in)} in, ${bytes(l.unsent || 0)} unsent`);
    const low = from.y > to.y ? from : to;
    const label = l.state !== "up" ? l.state : both >= 1 ? low === to ? `↓ ${bytes(rate.out)}/s  ↑ ${bytes(rate.in)}/s` : `↑ ${bytes(rate.out)}/s  ↓ ${bytes(rate.in)}/s` : "";
    return label ? [drawn, shape("text", {class: "label", x: middle(low)[0] + 7, y: low.y - 7}, label)] : [drawn];
  });
}
function draw_flows(all, n) {
  const linked = new Set(n.links.map(l => l.node));
  return n.flows.flatMap(f => {
    const from = all.get(n.name), to = all.get(f.node);
    if (!from || !to || from === to) return [];
    const stalled = f.lanes.some(l => l.stalled);
    const waiting = f.lanes.reduce((sum, l) => sum + (l.waiting_bytes || 0), 0);
    if (linked.has(f.node) && !stalled && f.state === "reached") return [];
    const kind = stalled || f.state === "lost" ? "bad" : f.state === "reached" ? "" : "warn";
    return [titled(shape("path", {class: `flow ${kind}`, d: curve(from, to)}), `flow from ${n.name} to ${f.node}: ${f.state}${stalled ? ", stalled" : ""}; ${bytes(waiting)} wait`)];
  });
}
function draw_routes(all) {
  const n = model.nodes.nodes.find(each => each.name === chosen);
  return n ? [...new Set(n.routes.map(r => r.over))].filter(over => all.has(over) && over !== chosen).map(over => titled(shape("path", {class: "route", d: curve(all.get(chosen), all.get(over))}),
    `${chosen} reaches over ${over}: ${n.routes.filter(r => r.over === over).map(r => r.node).join(", ")}`)) : [];
}
function draw_vertex(v) {
  const made = shape("g", {class: `node ${v.kind} ${v.name === chosen ? "chosen" : ""}`, transform: `translate(${v.x},${v.y})`});
  made.dataset.name = v.name;
  const name = v.name.length > 24 ? `…${v.name.slice(-23)}` : v.name;
  made.append(shape("rect", {class: "box", width: box.width, height: box.height, rx: 8}), shape("text", {class: "title", x: 10, y: 18}, name));
  v.lines.forEach((line, i) => made.append(shape("text", {x: 10, y: 34 + i * 14}, line.length > 34 ? `${line.slice(0, 33)}…` : line)));
  return titled(made, `${v.name}: ${v.lines.join("; ")}`);
}

const graph = shape("svg", {id: "graph", role: "img", "aria-label": "nodes, links, flows and routes"});
const legend = element("p", "", "nothing");
const tables = ["Nodes", "Slow turns", "Processes", "Links", "Flows", "Routes"].map(name => {
  const made = element("details");
  made.append(element("summary", name), element("div"));
  return made;
});

function draw_graph() {
  const all = vertices();
  let left = 20, low = 0;
  for (const v of all.values()) {
    if (v.parent) continue;
    const [end, depth] = place(v, left, 26);
    left = end;
    low = Math.max(low, depth);
  }
  const drawn = [...all.values()].slice(0, most_drawn);
  const known = new Map(drawn.map(v => [v.name, v]));
  const of_all = how => model.nodes.nodes.filter(n => known.has(n.name)).flatMap(n => how(known, n));
  graph.setAttribute("width", left);
  graph.setAttribute("height", low + 20);
  graph.replaceChildren(...draw_routes(known), ...of_all(draw_links), ...of_all(draw_flows), ...drawn.map(draw_vertex));
  const more = all.size - drawn.length;
  legend.textContent = `${more ? `${more} more nodes are in the tables. ` : ""}${chosen ? `Thick lines: the links over which ${chosen} reaches others.` : "Choose a node to see its routes."} Dashed lines are flows that go over other nodes, or wait.`;
}
// ---- how long turns take, and how late they begin: of the node that is chosen, else of the first one

function histogram(name, what, of_bad) {
  const made = element("figure");
  const caption = element("figcaption", name);
  const lately = element("b");
  const picture = shape("svg", {role: "img", "aria-label": what});
  caption.append(lately);
  made.append(caption, picture);
  made.draw = told => {
    const bounds = model.about.latency_bounds_ns;
    columns(picture, (told?.counts || []).map((value, i) => {
      const bound = bounds[told.first + i];
      const label = bound ? duration(bound).replace(" ", "") : "more";
      return {label, value, kind: (bound ?? Infinity) > of_bad ? "bad" : bound > of_bad / 10 ? "warn" : "", title: `${value.toLocaleString("en")} of at most ${label}`};
    }));
    lately.textContent = told?.lately ? `lately half ≤ ${duration(told.p50_ns)}, 99% ≤ ${duration(told.p99_ns)}; longest ever ${duration(told.longest_ns)}` : "nothing lately";
  };
  return made;
}
const latency = element("div");
latency.id = "latency";
const whose = element("h2");
const turns = histogram("Turns", "how many turns took how long", 1e8);
turns.id = "turns";
const delays = histogram("Begin late by", "how many actors that were ready waited how long for their turn", 1e8);
delays.id = "delays";
latency.append(turns, delays);

function draw_latency() {
  const n = model.nodes.nodes.find(each => each.name === chosen) || model.nodes.nodes[0];
  whose.textContent = n ? `How long turns of ${n.name} take` : "";
  turns.draw(n?.turns);
  delays.draw(n?.delays);
}

function draw_tables() {
  const nodes = model.nodes.nodes;
  const made = [
    table(["node", "pid", "schedulers", "answered in", "turns, 99%", "late by, 99%", "dead letters", "groups"], nodes.map(n => [n.name, n.pid, n.schedulers.length, `${n.answer_us || 0} µs`, n.turns?.lately ? duration(n.turns.p99_ns) : "", n.delays?.lately ? duration(n.delays.p99_ns) : "", n.dead_letters, n.groups.map(g => `${g.name} (${g.members})`).join(", ")]), ["path"]),
    table(["node", "actor", "turn", "messages in it", "the last of them"], nodes.flatMap(n => (n.slowest || []).map(t => [n.name, t.path, duration(t.took_ns), t.messages || "", t.message || ""])), ["path", "path"]),
    table(["path", "pid", "state", "over", "generation", "agent", "program"], nodes.flatMap(n => n.processes.map(p => [p.path, p.pid, [p.state, p.state === "running" ? "" : "warn"], p.transport, p.generation, p.agent || "", p.program || "this one again"])), ["path"]),
    table(["node", "to", "as", "state", "address", "bytes in", "bytes out", "unsent"], nodes.flatMap(n => n.links.map(l => [n.name, l.node, l.role, [l.state, l.state === "up" ? "" : "warn"], l.address || "", short(l.bytes_in), short(l.bytes_out), short(l.unsent || 0)])), ["path", "path"]),
    table(["node", "to", "state", "lane", "waiting bytes", "sent", "received", "waits for"], nodes.flatMap(n => n.flows.flatMap(f => f.lanes.map((l, i) => [n.name, f.node, f.state, lane_names[i], short(l.waiting_bytes || 0), l.sent || 0, l.received || 0, [(l.stalled ? "stalled: " : "") + (l.waits_for || ""), l.stalled ? "bad" : ""]]))), ["path", "path"]),
    table(["node", "to", "over"], nodes.flatMap(n => n.routes.map(r => [n.name, r.node, r.over])), ["path", "path", "path"]),
  ];
  made.forEach((each, i) => tables[i].lastChild.replaceChildren(tables[i].open ? each : ""));
}

export function draw_network() {
  const section = document.getElementById("network");
  if (!graph.isConnected) section.replaceChildren(graph, legend, whose, latency, ...tables);
  draw_graph();
  draw_latency();
  draw_tables();
}
graph.addEventListener("click", event => {
  const name = event.target.closest(".node")?.dataset.name || "";
  chosen = name === chosen ? "" : name;
  draw_network();
});
for (const each of tables) each.addEventListener("toggle", draw_tables);
