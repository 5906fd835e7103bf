// node edit-cells.mjs FILE OUT SPEC: changes cells, as somebody may who has a pen of his own. SPEC: { "sheet", "cells": { "D8": 7 } }
import { readFileSync, writeFileSync } from "node:fs";
import * as XLSX from "xlsx";

const [file, out, spec] = process.argv.slice(2);
const { sheet, cells } = JSON.parse(spec);
const book = XLSX.read(readFileSync(file), { cellFormula: true });
for (const [address, value] of Object.entries(cells)) {
  book.Sheets[sheet][address] = { t: typeof value === "number" ? "n" : "s", v: value };
}
writeFileSync(out, XLSX.write(book, { type: "buffer", bookType: "xlsx" }));
console.log("{}");
