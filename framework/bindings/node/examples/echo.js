// A child of a supervisor that gives back whatever it is asked.
// In C++: child("echo", in_process("node", {"echo.js"})). In a deployment file: program = "node", arguments = ["echo.js"].
// [echo]
import {runAsChild} from "coppice";

await runAsChild(async (me) => {
    // Until its supervisor ends it.
    for await (const mail of me) {
        if (mail.isRequest) mail.reply(mail.value);
        else me.log(`got ${mail.value}`);
        mail.close();
    }
});
// [/echo]
