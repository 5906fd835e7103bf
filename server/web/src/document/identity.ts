// What a document is of: a unit, a book, a period.

export const BOOKS = [
  "unit",
  "unit-restricted",
  "township",
  "township-restricted",
  "county",
  "county-restricted",
] as const;
export type Book = (typeof BOOKS)[number];

export interface Identity {
  readonly unit: string;
  readonly book: Book;
  readonly period: string;
}

/** The identity as one text, by which documents are kept. */
export function keyOf(identity: Identity): string {
  return `${identity.unit}/${identity.book}/${identity.period}`;
}
