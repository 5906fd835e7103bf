// What must hold of a row, by itself and beside the other rows of its unit.

import type { Value } from "../document/value";
import type { Beside, Rule } from "./catalogue";
import { type Cells, greater, holds, plus, type Variables, valueOf } from "./expression";

/** The rows of the unit in a ledger; nothing, where this device does not hold them. */
export type RowsOf = (ledger: string) => readonly Cells[] | undefined;

/** Whether a row breaks a rule. What it would have to be compared with and is not here, nobody can say. */
export function isBroken(rule: Rule, row: Cells, rowsOf: RowsOf, variables: Variables): boolean {
  let known = variables;
  for (const beside of rule.beside ?? []) {
    const rows = rowsOf(beside.ledger);
    if (rows === undefined) return false;
    known = { ...known, [beside.name]: found(beside, row, rows, variables, known) };
  }
  const concerns = rule.when === null || holds(rule.when, row, known);
  return concerns && !holds(rule.check, row, known);
}

function found(beside: Beside, own: Cells, rows: readonly Cells[], variables: Variables, known: Variables): Value {
  const { condition, same, fold, of } = beside;
  const wanted = same.map(([, expression]) => valueOf(expression, own, known));
  let result: Value | undefined;
  for (const row of rows) {
    if (condition !== null && !holds(condition, row, variables)) continue;
    if (!same.every(([column], at) => (row[column] ?? undefined) === wanted[at])) continue;
    const given = of === undefined ? 1 : (row[of] ?? undefined);
    if (given === undefined) continue;
    result = result === undefined ? given : folded(fold, result, given);
  }
  return result ?? (fold === "count" || fold === "sum" ? 0 : null);
}

function folded(fold: Beside["fold"], result: Value, given: Value): Value {
  if (fold === "greatest") return greater(result, given) ? result : given;
  if (fold === "least") return greater(given, result) ? result : given;
  return plus(result, given) ?? result;
}
