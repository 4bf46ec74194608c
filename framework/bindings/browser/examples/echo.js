// Answers what it is asked, under a name of its own: echo.js URL NAME.
import {connect} from "coppice-browser";

const [url, name] = process.argv.slice(2);
// [echo]
const me = await connect(url, {name});
me.addEventListener("state", (event) => console.log(event.detail)); // waiting, open, ...
await me.join("news");
for await (const mail of me) {
    if (mail.isRequest) mail.reply(mail.value);
    else console.log(`got ${mail.value}`);
}
// [/echo]
