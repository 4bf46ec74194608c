// Says hello to an actor of a tree by way of a host of browsers, and asks it something: hello.js URL PATH. In Node.js 20 with
// --experimental-websocket; a page does the same.
// [hello]
import {connect} from "coppice-browser";

const [url, shop] = process.argv.slice(2);
const me = await connect(url);
await me.send(shop, "hello");
console.log(await me.ask(shop, {"price of": "tea"}));
await me.close();
// [/hello]
