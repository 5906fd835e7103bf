// Rows of the documents that this device holds, as screens ask for them.

import type { Ledger, Level } from "../catalogue/catalogue";
import type { Cells } from "../catalogue/expression";
import type { RowsOf } from "../catalogue/rules";
import { device } from "../device/device";
import type { Row } from "../document/document";
import type { Identity } from "../document/identity";
import { t } from "../text/words";
import { isDraft, missingOf, stands } from "./records";

export interface Found {
  readonly identity: Identity;
  readonly ledger: Ledger;
  readonly row: Row;
}

/** The document in which a unit keeps a ledger. */
export function identityOf(unit: string, ledger: Ledger): Identity {
  return { unit, book: ledger.book, period: device.years.shown };
}

/** Whether this device may write to a ledger at all. */
export function mayHold(ledger: Ledger): boolean {
  return device.me.writes.includes(ledger.book) && device.catalogue.isNamedHere(ledger);
}

/** Why a ledger is only to be read here. */
export function readOnly(ledger: Ledger): string {
  if (!device.me.writes.includes(ledger.book)) return t("readOnly");
  return t(device.catalogue.isNamedHere(ledger) ? "yearSealed" : "notHere");
}

/** Whether it may be written to in the year that is shown. */
export function mayWrite(ledger: Ledger): boolean {
  return mayHold(ledger) && !isSealed(device.years.shown);
}

/** Names a year that is not the one that is shown. */
export function ofOtherYear(period: string | undefined): string {
  return period === undefined || period === device.years.shown ? "" : t("ofYear", period);
}

/** Whether nothing is written to a year any more. */
export function isSealed(period: string): boolean {
  return device.catalogue.year(period)?.is_sealed === true;
}

export function levelOf(unit: string): Level {
  return (device.units.find((known) => known.id === unit)?.level ?? "organisation") as Level;
}

export function unitName(unit: string): string {
  return device.units.find((known) => known.id === unit)?.name ?? unit;
}

export function rowsOf(unit: string, ledger: Ledger): Row[] {
  const rows = [...device.document(identityOf(unit, ledger)).rows(ledger.id).values()];
  const order = (row: Row) => ledger.sort.map((key) => row.cells[key] ?? "");
  return rows.sort((a, b) => compare(order(a), order(b)) || compare([a.id], [b.id]));
}

/** Cells of the standing rows of a unit's ledgers, with one row as it would be; nothing for ledgers that are not on this device. */
export function cellsWith(unit: string, own: Ledger, row: string, cells: Cells): RowsOf {
  // Several rules look at the same ledger: each is read once.
  const known = new Map<string, readonly Cells[] | undefined>();
  const read = (id: string): readonly Cells[] | undefined => {
    const ledger = device.catalogue.ledger(id);
    if (ledger === undefined || !device.me.books.includes(ledger.book)) return undefined;
    const rows = [...device.document(identityOf(unit, ledger)).rows(id).values()];
    const others = rows.filter((other) => stands(other) && !(id === own.id && other.id === row));
    return [...others.map((other) => other.cells), ...(id === own.id ? [cells] : [])];
  };
  return (id) => {
    if (!known.has(id)) known.set(id, read(id));
    return known.get(id);
  };
}

function compare(a: readonly unknown[], b: readonly unknown[]): number {
  for (let at = 0; at < a.length; at += 1) {
    const [left, right] = [a[at], b[at]];
    if (typeof left === "number" && typeof right === "number" && left !== right) return left - right;
    const order = String(left).localeCompare(String(right), "zh");
    if (order !== 0) return order;
  }
  return 0;
}

/** The documents of the year that is shown. */
function shown(): Identity[] {
  return device.identities().filter((identity) => identity.period === device.years.shown);
}

/** Every row of the year that is shown. */
export function everything(): Found[] {
  return shown().flatMap((identity) => {
    const document = device.document(identity);
    return [...document.ledgers()].flatMap((id) => {
      const ledger = device.catalogue.ledger(id);
      if (ledger === undefined) return [];
      const rows = [...document.rows(id).values()].filter(stands);
      return rows.map((row) => ({ identity, ledger, row }));
    });
  });
}

/** How many rows a unit has, and how many of them lack something. */
export function summary(unit: string): { rows: number; missing: number } {
  let [rows, missing] = [0, 0];
  for (const identity of shown().filter((held) => held.unit === unit)) {
    const document = device.document(identity);
    for (const id of document.ledgers()) {
      const ledger = device.catalogue.ledger(id);
      for (const row of ledger === undefined ? [] : document.rows(id).values()) {
        if (ledger === undefined || !stands(row)) continue;
        rows += 1;
        if (isDraft(row) || (mayWrite(ledger) && missingOf(device.catalogue, ledger, row.cells).length > 0)) missing += 1;
      }
    }
  }
  return { rows, missing };
}
