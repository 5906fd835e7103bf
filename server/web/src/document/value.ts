// The value of one cell, in its canonical form: dates `2012-03-15`, decimals as text, codes not labels. `null` is a cleared cell.

export type Value = null | boolean | number | string;

/** Whether two values are the same to a person: outer white space makes no conflict. */
export function isSame(a: Value, b: Value): boolean {
  return typeof a === "string" && typeof b === "string" ? a.trim() === b.trim() : a === b;
}

export function isFilled(value: Value | undefined): value is boolean | number | string {
  return value !== null && value !== undefined;
}
