// The observer's page in Chromium, used as a person would use it: node observer.mjs SCENE URL FOLDER. What it sees it says, a
// line each, to standard output; where the test has something to do meanwhile, it waits for a line from there. Pictures go
// into the folder. The last line is "done", or what went wrong; every error of a script on the page is one.
import {accessSync, constants} from "node:fs";
import {createInterface} from "node:readline";
import {chromium} from "playwright-core";

const [scene, url, folder] = process.argv.slice(2);
const input = createInterface({input: process.stdin});
const lines = input[Symbol.asyncIterator]();
const say = text => console.log(text.replaceAll("\n", " "));
/// Says that, and waits for the test to have done its part.
async function hand_over(text) {
  say(text);
  await lines.next();
}

const chromium_path = process.env.PATH.split(":").map(each => `${each}/chromium`).find(each => {
  try { accessSync(each, constants.X_OK); return true; } catch { return false; }
});
const browser = await chromium.launch({executablePath: chromium_path, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]});
// A test that has ended, however it did, leaves no browser behind.
input.on("close", async () => { await browser.close(); process.exit(1); });
const page = await browser.newPage({viewport: {width: 1440, height: 900}});
page.setDefaultTimeout(150_000);  // a watchdog that says what it waited for, before the test's, which cannot
const errors = [];
page.on("pageerror", error => errors.push(`an error of the page: ${error.message}`));
page.on("console", message => { if (message.type() === "error") errors.push(`the page's console: ${message.text()} ${message.location().url}`); });
page.on("dialog", dialog => dialog.accept());

const text_of = selector => page.locator(selector).first().textContent();
const number_of = async selector => Number((await text_of(selector)).replaceAll(",", ""));
const until = (what, ...given) => page.waitForFunction(what, ...given);
const row = path => page.locator(`#space .row:not([hidden])[data-path="${path}"]`);
const tab = name => page.getByRole("tab", {name}).click();
const shows = (selector, text) => until(([at, wanted]) => document.querySelector(at)?.textContent.includes(wanted), [selector, text]);
async function expect(is_so, what) { if (!is_so) throw new Error(`not as it should be: ${what}`); }
async function picture(name) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({colorScheme: scheme});
    await page.screenshot({path: `${folder}/observer-${name}-${scheme}.png`});
  }
}
async function filter(text) { await page.fill("#filter", text); }

// ---- the scenes

const scenes = {
  // Ten thousand actors: they can be folded and found, and one of them crashes before our eyes.
  async many() {
    await until(() => Number(document.getElementById("actors").textContent.replaceAll(",", "")) > 10000);
    say(`actors ${await number_of("#actors")}`);
    await row("/app/crowd").waitFor();
    await expect(await page.locator("#space .row:not([hidden])").count() < 30, "a crowd of thousands is folded");
    await row("/app/crowd").locator(".fold").click();
    await until(() => document.getElementById("space").offsetHeight > 10000 * 20);
    await expect(await page.locator("#space .row").count() < 120, "only what can be seen is an element");
    await page.locator("#tree").evaluate(frame => { frame.scrollTop = frame.scrollHeight; });
    await until(() => [...document.querySelectorAll("#space .row:not([hidden])")].some(each => each.dataset.path === "/app/web"));
    await page.locator("#tree").evaluate(frame => { frame.scrollTop = frame.scrollHeight / 2; });
    await page.locator("#order").selectOption("rate");
    await page.locator("#order").selectOption("path");

    await filter("crasher");
    await row("/app/crasher").click();
    await shows("#detail", "/app/crasher");
    await expect(await page.locator("#space .row:not([hidden])").count() === 1, "the filter leaves one row");
    await hand_over("crash it");
    await until(() => document.getElementById("restarts").textContent !== "0");
    await until(() => [...document.querySelectorAll("#detail dt")].find(each => each.textContent === "restarts")?.nextSibling.textContent === "1");
    await until(() => document.querySelectorAll("#chart_events .tick").length > 0);
    say("crash seen");
    await filter("");
    await picture("actors");

    await tab("Events");
    await shows("#events", "/app/crasher");
    await picture("events");
    await tab("Log");
    await filter("told to crash");
    await shows("#log", "told to crash");
    await page.locator("#level").selectOption("error");
    await page.locator("#level").selectOption("info");
    await filter("");
    await page.locator("#below").check();
    await until(() => [...document.querySelectorAll("#log tr td:nth-child(3)")].every(each => each.textContent === "/app/crasher"));
    await picture("log");
    await tab("Dead letters");
    await shows("#letters", "count_one");
    await picture("letters");
    await tab("Network");
    await shows("#graph", "app");
    await until(() => ["turns", "delays"].every(id => document.querySelectorAll(`#${id} rect.column`).length > 0));
    await shows("#turns b", "lately half");
    const heights = await page.locator("#turns rect.column").evaluateAll(all => all.map(each => Number(each.getAttribute("height"))));
    await expect(heights.some(each => each > 10), "columns can be seen");
    await expect((await text_of("#turns rect.column title")).includes("of at most"), "a column says what it counts");
    await page.locator("summary", {hasText: "Slow turns"}).click();
    await page.locator("details", {hasText: "Slow turns"}).locator("td", {hasText: "/app"}).first().waitFor();
    await page.locator("summary", {hasText: "Nodes"}).click();
    await picture("network");
    await page.click("#theme");
    await expect(await page.locator("html").getAttribute("data-theme") === "light", "the switch chooses light");
    await page.click("#theme");
    await expect(await page.locator("html").getAttribute("data-theme") === "dark", "and then dark");
  },

  // Another process: it is in the graph and in the tree; it is killed, and the page tells it.
  async processes() {
    await row("/app/worker/inner").waitFor();
    await tab("Network");
    await page.locator('#graph .node.good[data-name="app.worker"], #graph .node.good[data-name="app/worker"]').waitFor();
    await page.locator("#graph .node", {hasText: "worker"}).click();
    await page.locator("#graph .route").first().waitFor({state: "attached"});
    await picture("processes");
    const title = () => page.locator("#graph .node", {hasText: "worker"}).first().textContent();
    const pid = async () => /pid (\d+)/.exec(await title())?.[1];
    const before = await pid();
    await hand_over(`kill ${before}`);
    await tab("Events");
    await shows("#events", `process ${before} has gone`);
    await picture("process-events");
    await tab("Actors");
    await row("/app/worker/inner").waitFor();
    await until(() => document.getElementById("restarts").textContent !== "0");
    await tab("Network");
    await until(old => { const found = /pid (\d+)/.exec([...document.querySelectorAll("#graph .node")].map(each => each.textContent).find(each => each.includes("worker"))); return found && found[1] !== old; }, before);
    say(`now ${await pid()}`);
  },

  // Actions, behind a token of their own.
  async actions() {
    await row("/app/crasher").click();
    await page.getByPlaceholder("token for actions").fill("wrong");
    await page.getByRole("button", {name: "unlock"}).click();
    await shows(".said", "unlock:");
    await page.getByPlaceholder("token for actions").fill("let me");
    await page.getByPlaceholder("token for actions").press("Enter");
    await page.locator("[data-act=pause]").click();
    await until(() => document.querySelector('#space .row[data-path="/app/crasher"]').innerText.includes("paused"));
    await picture("actions");
    await page.locator("[data-act=resume]").click();
    await shows(".said", "resume:");
    await page.getByLabel("message type").fill("count_one");
    await page.getByLabel("fields of the message").fill("5");
    await page.locator("[data-act=send]").click();
    await shows(".said", "send: sent");
    await hand_over("count 5");
    await page.locator("[data-act=restart]").click();
    await shows(".said", "restart: restarted");
    const connects_again = page.waitForEvent("websocket");
    await hand_over("count 0");
    await hand_over("break the connection");
    await connects_again;
    await until(() => document.getElementById("link").textContent === "live");
    await page.getByLabel("fields of the message").fill("7");
    await page.locator("[data-act=send]").click();
    await shows(".said", "send: sent");
    await hand_over("count 7");
    await page.locator("[data-act=ask]").click();
    await shows(".said", "ask: no_handler");
    await page.locator("[data-act=stop]").click();
    await shows("#detail", "it has ended");
  },

  // Who came as one that may only look: what may not be done cannot be pressed, until another token makes one somebody else.
  async roles() {
    const may = async (...names) => {
      await until(wanted => [...document.querySelectorAll("[data-act]:enabled")].map(each => each.dataset.act).sort().join() === wanted, names.sort().join());
    };
    const all = ["pause", "resume", "restart", "stop", "kill", "send", "ask"];
    await row("/app/crasher").click();
    await may();
    await expect(await page.locator("[data-act=stop]").getAttribute("title") === "who you are here may not stop it", "a button says why");
    await picture("roles");
    await page.getByPlaceholder("token for actions").fill("guard-secret");
    await page.getByPlaceholder("token for actions").press("Enter");
    await shows(".said", "you are token:guard");
    await may(...all);
    await row("/app/crowd").click();
    await may(...all.filter(each => each !== "send" && each !== "ask"));
    await row("/app/web").click();
    await may();
    const connects_again = page.waitForEvent("websocket");
    await hand_over("break the connection");
    await connects_again;
    await until(() => document.getElementById("link").textContent === "live");
    await row("/app/crasher").click();
    await may(...all);
    await page.locator("[data-act=restart]").click();
    await shows(".said", "restart: restarted");
  },
};

let verdict = "done";
try {
  await page.goto(url);
  await until(() => document.getElementById("link").textContent === "live");
  await scenes[scene]();
} catch (why) {
  verdict = `failed: ${why.message}`;
  await page.screenshot({path: `${folder}/observer-${scene}-failed.png`}).catch(() => {});
}
if (errors.length) verdict = errors.join("; ");
say(verdict);
await browser.close();
process.exit(0);
