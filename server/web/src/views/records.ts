// What lists and forms show of rows: names, what is missing, what is due. No network, no storage.

import type { Catalogue, Column, Ledger, Level, Rule, Workflow } from "../catalogue/catalogue";
import { printed } from "../catalogue/entry";
import { isBroken, type RowsOf } from "../catalogue/rules";
import { STATE } from "../document/address";
import type { Row } from "../document/document";
import { isFilled, type Value } from "../document/value";
import { dayOf } from "../text/day";

/** Columns that name a record, the best first. */
const NAMES = ["name", "title", "topic", "problem_summary", "problem", "content", "item_no", "round"];

/** What names a row in lists. */
export function nameOf(catalogue: Catalogue, ledger: Ledger, row: Row): string {
  const fields = catalogue.fields(ledger);
  const candidates = [
    ...NAMES.map((key) => fields.find((field) => field.key === key)),
    ...ledger.keys.flat().map((key) => fields.find((field) => field.key === key)),
    ...fields,
  ];
  for (const field of candidates) {
    const text = field && printed(catalogue, field, row.cells[field.key]);
    if (text) return text;
  }
  return row.id;
}

/** A second line: the other columns that are filled, the first few. */
export function detailOf(catalogue: Catalogue, ledger: Ledger, row: Row, name: string): string {
  const texts = catalogue
    .fields(ledger)
    .filter((field) => ["enum", "date", "pdate", "bool", "phone", "text", "person"].includes(field.type))
    .map((field) => printed(catalogue, field, row.cells[field.key]))
    .filter((text) => text !== "" && text !== name);
  return texts.slice(0, 3).join(" · ");
}

export function isDraft(row: Row): boolean {
  return row.cells[STATE] === "draft";
}

/** Whether it is there: neither removed nor void. */
export function stands(row: Row): boolean {
  return !row.removed && row.cells[STATE] !== "void";
}

/** Whether a set or a cell says something. */
export function isGiven(column: Column, cells: Readonly<Record<string, Value>>): boolean {
  if (column.type === "multi") {
    return Object.entries(cells).some(([key, value]) => key.startsWith(`${column.key}/`) && value === true);
  }
  return isFilled(cells[column.key]);
}

/** Columns that must be filled and are not. */
export function missingOf(catalogue: Catalogue, ledger: Ledger, cells: Readonly<Record<string, Value>>): Column[] {
  return catalogue
    .fields(ledger)
    .filter((field) => field.required === "mandatory" && field.default === undefined && !isGiven(field, cells));
}

/** The rules that a row breaks, itself or beside the other rows of its unit. */
export function brokenBy(
  catalogue: Catalogue,
  ledger: Ledger,
  cells: Readonly<Record<string, Value>>,
  rowsOf: RowsOf,
  period: string,
  now = new Date(),
): Rule[] {
  const today = { ...catalogue.variables(period), statistics_date: dayOf(now) };
  return catalogue.rules(ledger.id).filter((rule) => isBroken(rule, cells, rowsOf, today));
}

const DUE = /(^|_)(due|deadline|limit)(_|$)/;

/** The column that says by when something has to be done. */
export function dueColumn(ledger: Ledger): Column | undefined {
  return ledger.columns.find((column) => DUE.test(column.key) && ["date", "pdate"].includes(column.type));
}

/** Whole days from today until a date; less than zero when it is over. */
export function daysUntil(date: string, today = new Date()): number {
  const [year = 0, month = 12, day] = date.split("-").map(Number);
  const end = Date.UTC(year, month - 1, day ?? new Date(year, month, 0).getDate());
  return Math.round((end - Date.UTC(today.getFullYear(), today.getMonth(), today.getDate())) / 86_400_000);
}

/** Whether the state has steps before it: not only back to a state that was passed. */
export function isOpen(workflow: Workflow, row: Row): boolean {
  const state = row.cells[workflow.column];
  if (!isFilled(state)) return true;
  const ranks = ranksOf(workflow);
  const own = ranks.get(String(state)) ?? 0;
  return workflow.steps.some((step) => step.from === state && (ranks.get(step.to) ?? 0) > own);
}

/** How many steps each state is away from a beginning. */
function ranksOf(workflow: Workflow): Map<string, number> {
  const ranks = new Map(workflow.initial.slice(0, 1).map((state) => [state, 0]));
  for (let grows = true; grows; ) {
    grows = false;
    for (const { from, to } of workflow.steps) {
      const rank = ranks.get(from);
      if (rank === undefined || ranks.has(to)) continue;
      ranks.set(to, rank + 1);
      grows = true;
    }
  }
  return ranks;
}

/** The states that somebody of this level may give a row now: its own, and those one step away. */
export function nextStates(workflow: Workflow, state: Value | undefined, level: Level): string[] {
  const actor = { organisation: "branch", reporting_unit: "township", county: "county" }[level];
  const by = (actors: readonly string[]) => actors.length === 0 || actors.includes(actor);
  if (!isFilled(state)) return by(workflow.begun_by) ? [...workflow.initial] : [];
  const steps = workflow.steps.filter((step) => step.from === state && by(step.by));
  return [String(state), ...steps.map((step) => step.to)];
}
