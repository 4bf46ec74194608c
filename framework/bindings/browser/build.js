// Compiles src/ into dist/, or into the folder that is named: npm run build. What comes out is committed, so that users and tests
// need no compiler; a test holds it against the sources.
import {execFileSync} from "node:child_process";
import {readdirSync, readFileSync, writeFileSync} from "node:fs";
import {dirname, join, resolve} from "node:path";
import {fileURLToPath} from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const into = resolve(process.argv[2] ?? join(here, "dist"));
execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "-p", here, "--outDir", into], {stdio: "inherit"});
for (const name of readdirSync(into).filter((each) => each.endsWith(".d.ts"))) {
    const file = join(into, name);
    const source = name.replace(/\.d\.ts$/, ".ts");
    writeFileSync(file, `// Types of src/${source}, made by npm run build.\n${readFileSync(file, "utf8")}`);
}
