// One actor: what is known of it, its rate and mail over time since it was chosen, who it is bound to, and, where the observer
// allows it, what can be done with it.
import {model, find, mail_of, health_of} from "./model.js";
import {line, shape, short} from "./charts.js";
import {chosen_path, choose, go_to} from "./tree.js";

const most_points = 120;
const pane = document.getElementById("detail");
let drawn_for = "";
let history = [];   // {rate, mail}
let call = async () => ({error: "closed", text: "not connected"});

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
function button(text, what, kind) {
  const made = element("button", text, kind);
  made.addEventListener("click", what);
  return made;
}
function link_to(path) {
  const made = element("a", path);
  made.tabIndex = 0;
  made.addEventListener("click", () => go_to(path));
  made.addEventListener("keydown", event => { if (event.key === "Enter") go_to(path); });
  return made;
}

// ---- what can be done

const said = element("div", "", "said");
said.setAttribute("role", "status");
async function act(name, given) {
  said.textContent = `${name} …`;
  const answer = await call(name, given);
  said.className = answer.error ? "said bad" : "said";
  if (answer.error) said.textContent = `${name}: ${answer.error}${answer.text ? `: ${answer.text}` : ""}`;
  else said.textContent = `${name}: ${typeof answer.value === "string" ? answer.value : JSON.stringify(answer.value)}`;
}
const type = element("input");
type.placeholder = "message type: add";
type.setAttribute("aria-label", "message type");
const fields = element("input");
fields.placeholder = "its fields, in order: 5, \"text\", [1, 2]";
fields.setAttribute("aria-label", "fields of the message");
function say(name) {
  try {
    act(name, {path: chosen_path(), type: type.value.trim(), fields: JSON.parse(`[${fields.value}]`)});
  } catch (failure) {
    said.className = "said bad";
    said.textContent = `the fields are no JSON: ${failure.message}`;
  }
}
const ends = ["restart", "stop", "kill"];
const meaning = {pause: "it takes no more mail, nor do those below it", resume: "it goes on with the mail that waits",
  restart: "its supervisor ends it and starts it again", stop: "its supervisor ends it and forgets it", kill: "it ends at once; its supervisor judges that as any failure"};
const on_actor = element("div", undefined, "actions");
for (const name of ["pause", "resume", ...ends]) {
  const made = button(name, () => { if (!ends.includes(name) || confirm(`${name} ${chosen_path()}?`)) act(name, {path: chosen_path()}); }, ends.includes(name) ? "danger" : "");
  made.title = meaning[name];
  made.dataset.act = name;
  on_actor.append(made);
}
const on_message = element("div", undefined, "actions");
on_message.append(type, fields, button("send", () => say("send")), button("ask", () => say("ask")));
on_message.querySelectorAll("button").forEach(each => { each.dataset.act = each.textContent; });
for (const input of [type, fields]) input.addEventListener("keydown", event => { if (event.key === "Enter") say("send"); });

// What the one who acts may do with the actor that is chosen: asked for when it is chosen, and when another acts.
let asked_for = "";
let allowed;        // names of actions; nothing: not known, and the answer to the action will tell
let why_nothing = "";
async function ask_what_is_allowed(path) {
  asked_for = path;
  allowed = undefined;
  const answer = await call("may", {path});
  if (asked_for !== path || answer.error === "closed") return;
  allowed = answer.error ? [] : answer.value;
  why_nothing = answer.text || "";
  draw_detail();
}
function draw_actions() {
  for (const each of pane.querySelectorAll("[data-act]")) {
    const name = each.dataset.act;
    each.disabled = allowed !== undefined && !allowed.includes(name);
    each.title = each.disabled ? why_nothing || `who you are here may not ${name} it` : meaning[name] || "";
  }
}

// Tokens, for actions or of who acts, are kept by the page alone, and said again on each new connection.
let tokens = [];
let is_unlocked = false;
const lock = element("div", undefined, "actions");
const key = element("input");
key.type = "password";
key.placeholder = "token for actions";
key.setAttribute("aria-label", "token for actions");
async function unlock(token) {
  const answer = await call("unlock", token);
  said.className = answer.error ? "said bad" : "said";
  said.textContent = answer.error ? `unlock: ${answer.text || answer.error}` : answer.value === true ? "" : `you are ${answer.value}`;
  if (answer.error) return false;
  is_unlocked ||= answer.value === true;
  asked_for = "";
  draw_detail();
  return true;
}
async function unlock_with(token) {
  if (await unlock(token)) tokens.push(token);
}
lock.append(key, button("unlock", () => { unlock_with(key.value); key.value = ""; }));
key.addEventListener("keydown", event => { if (event.key === "Enter") lock.lastChild.click(); });
/// On a new connection.
export async function lock_again() {
  is_unlocked = false;
  asked_for = "";
  const known = tokens;
  tokens = [];
  for (const token of known) await unlock_with(token);
}

// ---- what is known

const title = element("span");
const head = element("h2");
const close = button("×", () => choose(""), "close");
close.setAttribute("aria-label", "close");
head.append(title, close);
const facts = element("dl");
const rate_head = element("h3", "messages/s");
const rate_chart = shape("svg", {role: "img", "aria-label": "messages a second, since it was chosen"});
const mail_head = element("h3", "waiting mail");
const mail_chart = shape("svg", {role: "img", "aria-label": "waiting mail, since it was chosen"});
const act_head = element("h3", "actions");
const message_head = element("h3", "a message");
const refused = element("p", "This observer only shows: actions are off.", "faint");
pane.append(head, facts, rate_head, rate_chart, mail_head, mail_chart, act_head, on_actor, message_head, on_message, lock, refused, said);

function put_fact(name, value, kind) {
  const shown = element("dd", undefined, kind);
  shown.append(...[].concat(value).flatMap((each, i) => i ? [", ", each] : [each]));
  facts.append(element("dt", name), shown);
}
function related(a, name) {
  const listed = (a[name] || []).map(link_to);
  if (a[`${name}_more`]) listed.push(`${a[`${name}_more`].toLocaleString("en")} more`);
  return listed;
}
function draw_facts(path, a) {
  facts.replaceChildren();
  put_fact("path", path);
  if (!a) return put_fact("state", "it has ended", "bad");
  put_fact("state", a.state, health_of(a) === "good" ? "" : health_of(a));
  put_fact("carrier", a.carrier);
  put_fact("node", a.node);
  put_fact("mailbox", `${mail_of(a).toLocaleString("en")} of ${(a.capacity || 0).toLocaleString("en")}`);
  if (mail_of(a)) put_fact("by lane", `${a.normal || 0} normal, ${a.priority || 0} priority, ${a.system || 0} system`);
  if (a.stashed) put_fact("stashed", String(a.stashed));
  put_fact("received", (a.received || 0).toLocaleString("en"));
  if (a.in_hand) put_fact("last message", a.in_hand);
  if (a.waits_for) put_fact("waits for", link_to(a.waits_for), "warn");
  put_fact("restarts", String(a.restarts || 0), a.restarts ? "warn" : "");
  if (a.incarnation) put_fact("incarnation", String(a.incarnation));
  const last = model.events.filter(e => e.path === path).slice(-5).reverse();
  if (last.length) put_fact("lately", last.map(e => `${new Date(e.time).toLocaleTimeString()} ${e.text}`));
  if (a.supervisor) put_fact("is", "a supervisor");
  for (const name of ["links", "monitors"]) if (a[name]) put_fact(name, related(a, name));
}

export function draw_detail() {
  const path = chosen_path();
  pane.hidden = !path;
  if (!path) { drawn_for = ""; return; }
  if (path !== drawn_for) {
    drawn_for = path;
    history = [];
    said.textContent = "";
    pane.scrollTop = 0;
  }
  const a = find(path);
  title.textContent = path.slice(path.lastIndexOf("/") + 1) || path;
  draw_facts(path, a);
  const may_act = model.about.actions && (!model.about.locked || is_unlocked);
  for (const each of [act_head, on_actor, message_head, on_message]) each.hidden = !may_act || !a;
  if (may_act && a && path !== asked_for) ask_what_is_allowed(path);
  draw_actions();
  const wants_another = may_act && model.about.named && allowed?.length < ends.length + 4;
  lock.hidden = !model.about.actions || (may_act && !wants_another);
  refused.hidden = model.about.actions;
  const newest = history.at(-1) || {rate: 0, mail: 0};
  rate_head.textContent = `messages/s: ${short(newest.rate)}`;
  mail_head.textContent = `waiting mail: ${short(newest.mail)}`;
  line(rate_chart, history.map(h => h.rate), most_points);
  line(mail_chart, history.map(h => h.mail), most_points);
}
/// Once a second.
export function sample_detail() {
  const a = drawn_for && find(drawn_for);
  if (!a) return;
  history.push({rate: a.rate || 0, mail: mail_of(a)});
  if (history.length > most_points) history.shift();
}
/// Once. `how` asks the observer: its name and fields; an answer of it.
export function begin_detail(how) { call = how; }
