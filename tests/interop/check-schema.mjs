// node check-schema.mjs SCHEMA FILES → JSON { name: [errors] }; FILES is a JSON object of name → document.
import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";

const [schema, files] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, "utf8")));
const validate = new Ajv2020({ allErrors: true, strict: false }).compile(schema);
const result = {};
for (const [name, document] of Object.entries(files)) {
  result[name] = validate(document) ? [] : validate.errors.map((error) => `${error.instancePath} ${error.message}`);
}
console.log(JSON.stringify(result));
