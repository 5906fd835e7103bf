// node compare-values.mjs OURS THEIRS → cells of formulas that show another value in the second workbook.
import { readFileSync } from "node:fs";
import * as XLSX from "xlsx";

const [ours, theirs] = process.argv.slice(2).map((file) => XLSX.read(readFileSync(file), { cellFormula: true }));
const different = [];
let formulas = 0;
const same = (a, b) => (typeof a === "number" && typeof b === "number" ? Math.abs(a - b) < 1e-9 : a === b);
for (const name of ours.SheetNames) {
  for (const [address, cell] of Object.entries(ours.Sheets[name])) {
    if (!cell?.f) continue;
    formulas += 1;
    const other = theirs.Sheets[name]?.[address];
    if (!same(cell.v, other?.v)) different.push([name, address, cell.f, cell.v ?? null, other?.v ?? null]);
  }
}
console.log(JSON.stringify({ formulas, different }));
