// node read-sheet.mjs FILE SHEET → JSON array of rows, as SheetJS reads the cached values.
import { readFileSync } from "node:fs";
import * as XLSX from "xlsx";

const [file, sheet] = process.argv.slice(2);
const book = XLSX.read(readFileSync(file), { type: "buffer", cellFormula: true });
const page = book.Sheets[sheet];
const rows = XLSX.utils.sheet_to_json(page, { header: 1, raw: true, defval: null });
const formulas = Object.entries(page).filter(([, cell]) => cell?.f).length;
console.log(JSON.stringify({ rows, formulas }));
