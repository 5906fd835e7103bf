// Addresses of cells: `{ledger}/{row}/{column}`, or `{ledger}/{row}/{column}/{code}` for one member of a set.

export const REMOVED = "@removed";
export const STATE = "@state";
export const EXTRA = "@extra";
/** A photo of the record, `@photo/{SHA-256}` = true: its bytes are kept apart from the document. */
export const PHOTO = "@photo";

export interface Address {
  readonly ledger: string;
  readonly row: string;
  readonly column: string;
  readonly member?: string;
}

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const ROW = /^[0-9a-hjkmnp-tv-z]{16}$/;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** How the cell is named inside its row: `column`, or `column/code`. */
export function cellOf(address: Address): string {
  return address.member === undefined ? address.column : `${address.column}/${address.member}`;
}

export function keyOfAddress(address: Address): string {
  return `${address.ledger}/${address.row}/${cellOf(address)}`;
}

/** Reads a document key; nothing for document marks such as `@unit` and for foreign keys. */
export function parseAddress(key: string): Address | undefined {
  const [ledger, row, column, member, ...more] = key.split("/");
  if (ledger === undefined || row === undefined || column === undefined || more.length > 0) return undefined;
  const isColumn = NAME.test(column.startsWith("@") ? column.slice(1) : column);
  const isMember = member === undefined || NAME.test(member) || (column === EXTRA && isHeader(member));
  if (!NAME.test(ledger) || !ROW.test(row) || !isColumn || !isMember) return undefined;
  return member === undefined ? { ledger, row, column } : { ledger, row, column, member };
}

/** A header text as the last part of an address. */
function isHeader(text: string): boolean {
  const bytes = new TextEncoder().encode(text).length;
  return bytes >= 1 && bytes <= 64 && !CONTROL.test(text);
}
