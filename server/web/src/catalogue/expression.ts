// Conditions of rules and workflows: the syntax tree that the server gives, evaluated as the server does.

import type { Value } from "../document/value";

export type Variables = Readonly<Record<string, Value>>;
type Comparison = "equal" | "unequal" | "less" | "at_most" | "greater" | "at_least";
type Operator = "plus" | "minus" | "times";

export type Node =
  | { column: string }
  | { part: [string, string] }
  | { variable: string }
  | { entry: [string, Node] }
  | { literal: Value }
  | { not: Node }
  | { and: [Node, Node] }
  | { or: [Node, Node] }
  | { compare: [Comparison, Node, Node] }
  | { arithmetic: [Operator, Node, Node] }
  | { later: [Node, Node, boolean] }
  | { in: [Node, Node[]] }
  | { in_list: [Node, string] }
  | { filled: [Node, boolean] };

export type Cells = Readonly<Record<string, Value>>;

/** Decimals of sums: four places. */
const SCALE = 10_000n;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** Whether it holds for this row. */
export function holds(node: Node, row: Cells, variables: Variables): boolean {
  if ("not" in node) return !holds(node.not, row, variables);
  if ("and" in node) return holds(node.and[0], row, variables) && holds(node.and[1], row, variables);
  if ("or" in node) return holds(node.or[0], row, variables) || holds(node.or[1], row, variables);
  if ("compare" in node) {
    const [how, left, right] = node.compare;
    const a = valueOf(left, row, variables);
    const b = valueOf(right, row, variables);
    if (a === undefined || b === undefined) return how === "unequal";
    const isEquality = how === "equal" || how === "unequal";
    const isSum = "arithmetic" in left || "arithmetic" in right;
    let order: number | undefined;
    if (!isEquality) order = samePrecision(a, b);
    if (!isEquality || isSum) order ??= decimals(a, b);
    order ??= compare(a, b);
    switch (how) {
      case "equal":
        return order === 0;
      case "unequal":
        return order !== 0;
      case "less":
        return order === -1;
      case "at_most":
        return order === -1 || order === 0;
      case "greater":
        return order === 1;
      case "at_least":
        return order === 1 || order === 0;
    }
  }
  if ("in" in node) {
    const needle = valueOf(node.in[0], row, variables);
    return needle !== undefined && node.in[1].some((choice) => valueOf(choice, row, variables) === needle);
  }
  if ("in_list" in node) {
    const [needle, list] = node.in_list;
    const codes = variables[list];
    const value = valueOf(needle, row, variables);
    return typeof value === "string" && typeof codes === "string" && codes.split(" ").includes(value);
  }
  if ("filled" in node) {
    const [inner, filled] = node.filled;
    // A set is one cell for each of its members.
    const hasMembers =
      "column" in inner && Object.entries(row).some(([key, value]) => key.startsWith(`${inner.column}/`) && value === true);
    return (hasMembers || valueOf(inner, row, variables) !== undefined) === filled;
  }
  return valueOf(node, row, variables) === true;
}

export function valueOf(node: Node, row: Cells, variables: Variables): Value | undefined {
  if ("column" in node) return row[node.column] ?? undefined;
  if ("part" in node) {
    const text = row[node.part[0]];
    return typeof text === "string" ? part(node.part[1], text) : part(node.part[1], "");
  }
  if ("variable" in node) return variables[node.variable] ?? undefined;
  if ("entry" in node) {
    const code = valueOf(node.entry[1], row, variables);
    return typeof code === "string" ? variables[`${node.entry[0]}.${code}`] : undefined;
  }
  if ("literal" in node) return node.literal;
  if ("arithmetic" in node) {
    const [operator, left, right] = node.arithmetic;
    const a = valueOf(left, row, variables);
    const b = valueOf(right, row, variables);
    return a === undefined || b === undefined ? undefined : arithmetic(operator, a, b);
  }
  if ("later" in node) {
    const [date, count, months] = node.later;
    const from = valueOf(date, row, variables);
    const by = valueOf(count, row, variables);
    return typeof from === "string" && typeof by === "number" ? later(from, by, months) : undefined;
  }
  return undefined;
}

/** What a text says about something else. Identity numbers are restricted: no phone has them. */
function part(name: string, text: string): Value | undefined {
  if (name === "township") return text.length >= 9 ? `${text.slice(0, 9)}000` : undefined;
  if (name === "village") return text.length >= 12 ? text.slice(9, 12) : undefined;
  if (name === "month") return text.slice(0, 7);
  if (name === "private") return false;
  return undefined;
}

function apply(operator: Operator, a: bigint, b: bigint): bigint {
  return operator === "plus" ? a + b : operator === "minus" ? a - b : a * b;
}

/** A sum; nothing, where one of them is no number. */
export function plus(a: Value, b: Value): Value | undefined {
  return arithmetic("plus", a, b);
}

/** Whether a number, date or text comes after another. */
export function greater(a: Value, b: Value): boolean {
  return (decimals(a, b) ?? compare(a, b)) === 1;
}

function arithmetic(operator: Operator, a: Value, b: Value): Value | undefined {
  if (typeof a === "number" && typeof b === "number") return Number(apply(operator, BigInt(a), BigInt(b)));
  const [left, right] = [scaled(a), scaled(b)];
  if (left === undefined || right === undefined) return undefined;
  let result = apply(operator, left, right);
  if (operator === "times") result /= SCALE;
  const size = result < 0n ? -result : result;
  return `${result < 0n ? "-" : ""}${size / SCALE}.${String(size % SCALE).padStart(4, "0")}`;
}

/** A number as a whole multiple of 1/10,000; finer ones are not summed. */
function scaled(value: Value): bigint | undefined {
  if (typeof value === "number") return BigInt(value) * SCALE;
  if (typeof value !== "string") return undefined;
  const [whole = "", fraction = ""] = value.split(".", 2);
  const digits = `${whole}${fraction.padEnd(4, "0")}`;
  return fraction.length <= 4 && /^[+-]?\d+$/.test(digits) ? BigInt(digits) : undefined;
}

/** A date that many days or months later, in its own precision; days need a whole date. */
function later(date: string, count: number, months: boolean): string | undefined {
  const match = /^(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?$/.exec(date);
  if (match === null) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2] ?? "1"), Number(match[3] ?? "1")];
  if (!months && match[3] === undefined) return undefined;
  const at = new Date(Date.UTC(year, month - 1, day));
  if (at.getUTCMonth() !== month - 1) return undefined;
  if (months) {
    at.setUTCDate(1);
    at.setUTCMonth(at.getUTCMonth() + count);
    const last = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 0)).getUTCDate();
    at.setUTCDate(Math.min(day, last));
  } else {
    at.setUTCDate(at.getUTCDate() + count);
  }
  return at.toISOString().slice(0, date.length);
}

/** Dates of different precision compare by what both say. */
function samePrecision(a: Value, b: Value): number | undefined {
  if (!isDate(a) || !isDate(b)) return undefined;
  const length = Math.min(a.length, b.length);
  return texts(a.slice(0, length), b.slice(0, length));
}

function isDate(value: Value): value is string {
  return typeof value === "string" && [4, 7, 10, 16].includes(value.length) && /^\d{4}(-|$)/.test(value);
}

function number(value: Value): number | undefined {
  return typeof value === "string" && DECIMAL.test(value) ? Number(value) : undefined;
}

/** Two decimals, which are stored as text. */
function decimals(a: Value, b: Value): number | undefined {
  const [left, right] = [number(a), number(b)];
  return left === undefined || right === undefined ? undefined : Math.sign(left - right);
}

function compare(a: Value, b: Value): number | undefined {
  if (typeof a === "string" && typeof b === "string") return texts(a, b);
  if (typeof a === "boolean" && typeof b === "boolean") return Math.sign(Number(a) - Number(b));
  const [left, right] = [typeof a === "number" ? a : number(a), typeof b === "number" ? b : number(b)];
  return left === undefined || right === undefined ? undefined : Math.sign(left - right);
}

/** By code points, as UTF-8 orders them. */
function texts(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const order = Math.sign((left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? 0));
    if (order !== 0) return order;
  }
  return Math.sign(left.length - right.length);
}
