// The child of tests/capi/languages_test.cpp: gives back what it is asked, tells its process, and fails as it is told.
import {Record, runAsChild} from "coppice";

await runAsChild(async (me) => {
    for await (const mail of me) {
        if (!mail.isRequest) throw new Error(mail.value);
        const {value} = mail;
        const asked = value instanceof Record ? value.fields : [];
        mail.reply(asked.length > 0 ? asked[0] : process.pid);
        mail.close();
    }
});
