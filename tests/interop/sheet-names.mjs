// node sheet-names.mjs FILE → JSON array of the names of its sheets, in order.
import { readFileSync } from "node:fs";
import * as XLSX from "xlsx";

console.log(JSON.stringify(XLSX.read(readFileSync(process.argv[2]), { bookSheets: true }).SheetNames));
