// Says hello to an actor of a tree of this machine, and asks it something: hello.js TREE PATH.
// [hello]
import {Node} from "coppice";

const node = await Node.join({tree: process.argv[2]});
const me = node.actor("hello");
const shop = await me.find(process.argv[3]);
me.send(shop, "hello");
console.log(await me.ask(shop, {"price of": "tea"}));
await node.close();
// [/hello]
