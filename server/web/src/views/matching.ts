// Whether what was typed is a record that exists: the phone's half of the rule by which an import finds its rows. By natural key it
// is the same; by a weaker key, or as the same person, it probably is, and a person decides. No network, no storage.

import type { Column, Ledger } from "../catalogue/catalogue";
import type { Row } from "../document/document";
import { keyPart, rowOf } from "../document/row-id";
import { isFilled, type Value } from "../document/value";
import { stands } from "./records";
import type { CellsOfRow } from "./typed";

export type Likeness = "same" | "likely";

/** A record that what was typed is, or may be. */
export interface Match {
  readonly row: Row;
  readonly likeness: Likeness;
  /** Whether another record may stand beside it: the key names a person, and two people may have one name. */
  readonly mayBeAnother: boolean;
}

export interface Looked {
  /** The likeliest first, those that stand before those that were removed. */
  readonly matches: readonly Match[];
  /** A row that nobody has, for a new record. */
  readonly free: string;
}

/** An existing record that is edited, and what it said before. */
export interface Own {
  readonly id: string;
  readonly before: CellsOfRow;
}

/** Looks among the rows of a ledger for what was typed; of an edited record, for what it was not before. */
export function look(
  ledger: Ledger,
  publicKey: Uint8Array,
  rows: ReadonlyMap<string, Row>,
  cells: CellsOfRow,
  random: () => string,
  own?: Own,
): Looked {
  const named = rowOf(ledger, publicKey, (column) => cells[column]);
  const free = named === undefined || rows.has(named) ? random() : named;
  const matches: Match[] = [];
  for (const row of rows.values()) {
    if (row.id === own?.id) continue;
    const likeness = likenessOf(ledger, cells, row) ?? (own === undefined && row.id === named ? namesake(ledger, row) : undefined);
    if (likeness === undefined) continue;
    const before = own && likenessOf(ledger, own.before, row);
    if (before === likeness || before === "same") continue;
    matches.push({ row, likeness, mayBeAnother: likeness === "likely" || namesPerson(ledger, cells) });
  }
  return { matches: preferred(matches), free };
}

/** Of what is only likely, nobody is asked about removed rows where others stand. */
function preferred(matches: readonly Match[]): Match[] {
  const isLikelyThere = matches.some((match) => match.likeness === "likely" && stands(match.row));
  const rank = ({ row, likeness }: Match) => (likeness === "same" ? 0 : 2) + (stands(row) ? 0 : 1);
  return matches
    .filter((match) => match.likeness === "same" || stands(match.row) || !isLikelyThere)
    .sort((a, b) => rank(a) - rank(b) || (a.row.id < b.row.id ? -1 : 1));
}

/** A row with the very id that this key gives: without a key of its own it is this record; with another one it was renamed. */
function namesake(ledger: Ledger, row: Row): Likeness {
  return keysOf(ledger).some((key) => partsOf(key, row.cells) !== undefined) ? "likely" : "same";
}

/** The natural keys that a phone sees: identity numbers it does not have. */
function keysOf(ledger: Ledger): (readonly string[])[] {
  const isRestricted = (name: string) => ledger.columns.some(({ key, sensitivity }) => key === name && sensitivity === "S3");
  return ledger.keys.filter((key) => !key.some(isRestricted));
}

function partsOf(key: readonly string[], cells: CellsOfRow): string | undefined {
  const values = key.map((column) => cells[column]);
  return values.every(isFilled) ? JSON.stringify(values.map((value) => keyPart(value as Value))) : undefined;
}

function likenessOf(ledger: Ledger, cells: CellsOfRow, row: Row): Likeness | undefined {
  const keys = keysOf(ledger);
  const [ours, theirs] = [keys.map((key) => partsOf(key, cells)), keys.map((key) => partsOf(key, row.cells))];
  for (const [at, parts] of ours.entries()) {
    if (parts === undefined || parts !== theirs[at]) continue;
    // A stronger key on either side says more than this one does.
    const isStrongest = [...ours.slice(0, at), ...theirs.slice(0, at)].every((stronger) => stronger === undefined);
    return isStrongest ? "same" : "likely";
  }
  return isLikelyPerson(ledger, cells, row.cells, ours.some((parts) => parts !== undefined)) ? "likely" : undefined;
}

/** The column by which a ledger names its people. */
function nameColumn(ledger: Ledger): Column | undefined {
  const keyed = ledger.keys.flat();
  return ledger.columns.find((column) => column.type === "person" && keyed.includes(column.key));
}

/** Whether the key that names this record has a person's name in it, which two people may share. */
function namesPerson(ledger: Ledger, cells: CellsOfRow): boolean {
  const key = keysOf(ledger).find((known) => partsOf(known, cells) !== undefined);
  const name = nameColumn(ledger);
  return name !== undefined && (key?.includes(name.key) ?? false);
}

/** Same name, and the same birth date or telephone; without any key of its own the name alone. */
function isLikelyPerson(ledger: Ledger, ours: CellsOfRow, theirs: CellsOfRow, hasKey: boolean): boolean {
  const name = nameColumn(ledger);
  if (name === undefined || !isEqual(ours[name.key], theirs[name.key])) return false;
  // The same person in another year, or in another session, is another record.
  const context = (ledger.keys[0] ?? []).filter((key) => {
    const type = ledger.columns.find((column) => column.key === key)?.type;
    return type !== "id_card" && type !== "person" && !isBirth(key);
  });
  if (!context.every((key) => !isFilled(ours[key]) || !isFilled(theirs[key]) || isEqual(ours[key], theirs[key]))) return false;
  const births = ledger.columns.filter(({ key }) => isBirth(key)).map(({ key }) => [ours[key], theirs[key]] as const);
  const phones = ledger.columns.filter(({ type }) => type === "phone").map(({ key }) => [ours[key], theirs[key]] as const);
  if (births.some(([a, b]) => isSameDay(a, b)) || phones.some(([a, b]) => isEqual(a, b))) return true;
  const isContradicted = births.some(([a, b]) => isFilled(a) && isFilled(b));
  return !hasKey && !isContradicted;
}

function isBirth(column: string): boolean {
  return /(^|_)birth(_|$)/.test(column);
}

function isEqual(a: Value | undefined, b: Value | undefined): boolean {
  return isFilled(a) && isFilled(b) && keyPart(a) === keyPart(b);
}

/** Two dates of which one may say less: 1980-03 is 1980-03-05 as far as it goes. A year alone is too little. */
function isSameDay(a: Value | undefined, b: Value | undefined): boolean {
  if (typeof a !== "string" || typeof b !== "string") return false;
  const length = Math.min(a.length, b.length);
  return length >= 7 && a.slice(0, length) === b.slice(0, length);
}
