// What the page knows of the tree: what the observer has told, and what the browser keeps of it over time. The messages stand
// in docs/observer.md. It draws nothing; views read it. Rows come in parts, of which each is told whole or by what is different.

export const model = {
  about: {tree: "", actions: false, period_ms: 1000, log_lines: 500, events: 500, answer_bounds_us: [], latency_bounds_ns: []},
  parts: new Map(),        // number -> Map(path -> actor)
  nodes: {nodes: [], silent: [], shown: 0, hidden: 0},
  letters: {count: 0, last: []},
  log: [],
  events: [],
  is_whole: false,         // since the connection was made everything has been told once
  version: 0,              // one more whenever rows are different
  seen_at: 0,              // when the nodes were told last, for rates of what is counted
  before: null,            // and what they said before
  rates: [],               // messages a second of the whole tree, over time
};

const topics = {
  observer(m) { model.about = m; },
  actors(m) {
    let part = model.parts.get(m.part);
    if (m.whole || !part) model.parts.set(m.part, part = new Map());
    for (const path of m.gone || []) part.delete(path);
    for (const a of m.whole || m.set) part.set(a.path, a);
    ++model.version;
  },
  nodes(m) {
    const now = performance.now();
    model.before = {nodes: model.nodes, seconds: (now - model.seen_at) / 1000};
    model.nodes = m;
    model.seen_at = now;
    model.is_whole = true;  // the observer tells it behind the rows
  },
  dead_letters(m) { model.letters = m; },
  log(m) { model.log = m.whole || model.log.concat(m.add).slice(-model.about.log_lines); },
  events(m) { model.events = m.whole || model.events.concat(m.add).slice(-model.about.events); },
};

/// False for what is no topic of this page's.
export function take(m) {
  if (!Object.hasOwn(topics, m.topic)) return false;
  topics[m.topic](m);
  return true;
}

/// A new connection is told everything again.
export function begin_anew() {
  model.parts.clear();
  model.log = [];
  model.events = [];
  model.is_whole = false;
  ++model.version;
}

export const find = path => {
  for (const part of model.parts.values()) if (part.has(path)) return part.get(path);
  return null;
};
export function* actors() { for (const part of model.parts.values()) yield* part.values(); }
export const mail_of = a => (a.normal || 0) + (a.priority || 0) + (a.system || 0);

/// How it is, for its colour: an actor's state, or its mailbox nearly full.
export function health_of(a) {
  if (a.state === "restarting" || a.state === "ending") return "bad";
  if (a.capacity && mail_of(a) > a.capacity * 0.8) return "bad";
  return a.state === "paused" || a.state === "pausing" ? "warn" : "good";
}

/// Sums over all actors.
export function totals() {
  const sum = {actors: model.nodes.hidden || 0, nodes: model.nodes.nodes.length, rate: 0, mail: 0, restarts: 0, dead: model.letters.count};
  for (const a of actors()) {
    ++sum.actors;
    sum.rate += a.rate || 0;
    sum.mail += mail_of(a);
    sum.restarts += a.restarts || 0;
  }
  return sum;
}

/// What is wrong with nodes, in words.
export function troubles() {
  const said = model.nodes.silent.map(s => `${s.path} does not answer: ${s.why}`);
  for (const n of model.nodes.nodes) {
    for (const s of n.schedulers) {
      if (s.answered && !s.stuck) continue;
      said.push(`scheduler ${s.index} of ${n.name} ${s.stuck ? "is stuck" : "does not answer"}${s.running ? `: ${s.running} runs` : ""}`);
    }
    for (const p of n.processes) if (p.state === "silent" || p.state === "stuck") said.push(`process ${p.pid} (${p.path}) is ${p.state}${p.handler ? `: ${p.handler} runs` : ""}`);
  }
  return said;
}

const most_rates = 150;
/// Once a second: what charts over time are made of.
export function sample() {
  if (!model.is_whole) return;
  model.rates.push(totals().rate);
  if (model.rates.length > most_rates) model.rates.shift();
}
