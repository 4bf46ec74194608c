// A picture of the page that a Chromium with --remote-debugging-port=0 shows: node screenshot.mjs PROFILE FILE. By its DevTools
// protocol, over the WebSocket of Node.js. Exit status 0: the file is there.
import {readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";

const [profile, file] = process.argv.slice(2);
const [port] = readFileSync(join(profile, "DevToolsActivePort"), "utf8").split("\n");
const pages = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
const socket = new WebSocket(pages.find((each) => each.type === "page").webSocketDebuggerUrl);
socket.onopen = () => socket.send(JSON.stringify({id: 1, method: "Page.captureScreenshot"}));
socket.onerror = () => process.exit(1);
socket.onmessage = (event) => {
    const answer = JSON.parse(event.data);
    if (answer.id !== 1) return;
    writeFileSync(file, Buffer.from(answer.result.data, "base64"));
    process.exit(0);
};
