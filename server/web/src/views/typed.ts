// What stands in the fields of a form: texts, as they are typed, against the cells of a record. No network, no storage.

import type { Catalogue, Column } from "../catalogue/catalogue";
import { editable, printed, read } from "../catalogue/entry";
import { REMOVED, STATE } from "../document/address";
import type { Row, Written } from "../document/document";
import type { Value } from "../document/value";

export type Texts = Readonly<Record<string, string>>;
export type CellsOfRow = Readonly<Record<string, Value>>;

/** One cell to be written. */
export interface Entry {
  readonly column: string;
  readonly member?: string;
  readonly value: Value;
}

/** What was typed, read. */
export interface Entered {
  readonly edits: Entry[];
  /** Every cell as it would be then. */
  readonly all: Record<string, Value>;
  /** What is wrong with a field. */
  readonly faults: Record<string, string>;
}

/** How a record stands in a field: text, a code, `yes` or `no`; codes of a set behind one another. */
export function inField(field: Column, cells: CellsOfRow): string {
  if (field.type === "multi") {
    const set = Object.entries(cells).filter(([key, value]) => key.startsWith(`${field.key}/`) && value === true);
    return set.map(([key]) => key.slice(field.key.length + 1)).join(" ");
  }
  const value = cells[field.key];
  if (field.type === "bool") return typeof value === "boolean" ? (value ? "yes" : "no") : "";
  return editable(field, value);
}

/** The fields that say something else than they did. */
export function changed(fields: readonly Column[], typed: Texts, before: Texts): Column[] {
  return fields.filter((field) => (typed[field.key] ?? "") !== (before[field.key] ?? ""));
}

/** Reads the fields that were changed. */
export function entered(fields: readonly Column[], typed: Texts, before: Texts, cells: CellsOfRow): Entered {
  const found: Entered = { edits: [], all: { ...cells }, faults: {} };
  for (const field of changed(fields, typed, before)) {
    const now = typed[field.key] ?? "";
    if (field.type === "multi") {
      const [is, was] = [codesIn(now), codesIn(before[field.key] ?? "")];
      for (const code of new Set([...is, ...was])) {
        if (is.includes(code) === was.includes(code)) continue;
        found.edits.push({ column: field.key, member: code, value: is.includes(code) });
        found.all[`${field.key}/${code}`] = is.includes(code);
      }
      continue;
    }
    const result = valueOf(field, now);
    if ("fault" in result) {
      found.faults[field.key] = result.fault;
      continue;
    }
    found.edits.push({ column: field.key, value: result.value });
    found.all[field.key] = result.value;
  }
  return found;
}

/**
 * What is written of the record itself. A new one says in so many words that it is there, and whether it is whole: a phone that has
 * added the same one, as a draft, or has removed it, disagrees with that, and somebody decides.
 */
export function marksOf(isNew: boolean, wasDraft: boolean, lacks: boolean): Entry[] {
  const state = { column: STATE, value: lacks ? "draft" : "submitted" };
  if (isNew) return [{ column: REMOVED, value: false }, state];
  return wasDraft && !lacks ? [state] : [];
}

/** What brings a record back as it was, whole or a draft; `states` is all that its state ever was, oldest first. */
export function revivalOf(row: Row, states: readonly Pick<Written, "value">[]): Entry[] {
  const last = [...states].reverse().find(({ value }) => value !== "void");
  return [
    ...(row.removed ? [{ column: REMOVED, value: false }] : []),
    ...(row.cells[STATE] === "void" ? [{ column: STATE, value: last?.value ?? null }] : []),
  ];
}

/** A field in which a record says one thing and what was typed another. */
export interface Difference {
  readonly field: Column;
  /** As they would stand in the field. */
  readonly there: string;
  readonly typed: string;
}

/** Where what was typed differs from a record: fields that nobody has touched do not. */
export function differences(fields: readonly Column[], typed: Texts, before: Texts, cells: CellsOfRow): Difference[] {
  return changed(fields, typed, before)
    .map((field) => ({ field, there: inField(field, cells), typed: typed[field.key] ?? "" }))
    .filter(({ field, there, typed: text }) => plain(field, there) !== plain(field, text));
}

/** The same text for everything that means the same. */
function plain(field: Column, text: string): string {
  if (field.type === "multi") return codesIn(text).sort().join(" ");
  const result = valueOf(field, text);
  return "fault" in result ? text : JSON.stringify(result.value);
}

/** What stands in a field, for reading. */
export function legible(catalogue: Catalogue, field: Column, text: string): string {
  if (field.type === "multi") {
    return codesIn(text)
      .map((code) => catalogue.label(field.list, code))
      .join("、");
  }
  const result = valueOf(field, text);
  return "fault" in result ? text : printed(catalogue, field, result.value);
}

function valueOf(field: Column, text: string): { value: Value } | { fault: string } {
  return field.type === "bool" ? { value: text === "" ? null : text === "yes" } : read(field, text);
}

function codesIn(text: string): string[] {
  return text.split(" ").filter(Boolean);
}
