// The catalogue as the server gives it to field apps.

import { bytes } from "../sync/frames";
import type { Book } from "../document/identity";
import type { Node, Variables } from "./expression";

export type Level = "county" | "reporting_unit" | "organisation";
export type Weight = "E" | "W" | "I";

export interface Column {
  readonly key: string;
  readonly title: string;
  readonly type: string;
  readonly list?: string;
  readonly required: "mandatory" | "conditional" | "optional";
  readonly allowed?: string;
  readonly default?: string;
  readonly sensitivity: "S0" | "S1" | "S2" | "S3";
  readonly future: boolean;
}

export interface Ledger {
  readonly id: string;
  readonly title: string;
  readonly title_en: string;
  readonly book: Book;
  readonly of: Level;
  readonly unit_columns: readonly string[];
  readonly keeps_rows: boolean;
  readonly keys: readonly (readonly string[])[];
  readonly sort: readonly string[];
  readonly columns: readonly Column[];
}

export type Actor = "branch" | "township" | "county";

export interface Step {
  readonly from: string;
  readonly to: string;
  readonly by: readonly Actor[];
  readonly needs: Node | null;
}

export interface Workflow {
  readonly ledger: string;
  readonly column: string;
  readonly title: string;
  readonly initial: readonly string[];
  readonly begun_by: readonly Actor[];
  readonly steps: readonly Step[];
}

/** A value that a rule takes from other rows of the unit. */
export interface Beside {
  readonly name: string;
  readonly ledger: string;
  readonly condition: Node | null;
  /** Columns of those rows, and what the rule's own row must say of each for them to belong together. */
  readonly same: readonly (readonly [string, Node])[];
  readonly fold: "count" | "sum" | "greatest" | "least";
  readonly of?: string;
}

export interface Rule {
  readonly id: string;
  readonly ledger: string;
  readonly weight: Weight;
  readonly beside?: readonly Beside[];
  readonly when: Node | null;
  readonly check: Node;
  readonly text: string;
  readonly text_en: string;
}

/** A year that there are documents of, and the county's parameters in it. */
export interface Year {
  readonly period: string;
  /** Whether it is the one that is meant where nobody chooses. */
  readonly is_default: boolean;
  /** Whether nothing is written to it any more. */
  readonly is_sealed: boolean;
  readonly variables: Variables;
}

export interface CatalogueData {
  readonly public_key: string;
  readonly ledgers: readonly Ledger[];
  readonly lists: Readonly<Record<string, readonly (readonly [string, string])[]>>;
  readonly workflows: readonly Workflow[];
  readonly rules: readonly Rule[];
  readonly variables: Variables;
  /** What earlier servers do not say. */
  readonly years?: readonly Year[];
}

export class Catalogue {
  readonly publicKey: Uint8Array;
  private readonly byId: Map<string, Ledger>;
  private readonly labels = new Map<string, Map<string, string>>();

  constructor(readonly data: CatalogueData) {
    this.publicKey = bytes(data.public_key);
    this.byId = new Map(data.ledgers.map((ledger) => [ledger.id, ledger]));
    for (const [id, codes] of Object.entries(data.lists)) {
      this.labels.set(id, new Map(codes.map(([code, label]) => [code, label])));
    }
  }

  ledger(id: string): Ledger | undefined {
    return this.byId.get(id);
  }

  /** The ledgers that units of this level keep in these books, in the order of the catalogue. */
  ledgersOf(level: Level, books: readonly Book[]): Ledger[] {
    return this.data.ledgers.filter((ledger) => ledger.of === level && books.includes(ledger.book));
  }

  /** The years that there are, the earliest first. */
  years(): readonly Year[] {
    return this.data.years ?? [];
  }

  year(period: string): Year | undefined {
    return this.years().find((known) => known.period === period);
  }

  /** The county's parameters in a year. */
  variables(period: string): Variables {
    return this.year(period)?.variables ?? this.data.variables;
  }

  codes(list: string): readonly (readonly [string, string])[] {
    return this.data.lists[list] ?? [];
  }

  label(list: string | undefined, code: string): string {
    return (list === undefined ? undefined : this.labels.get(list)?.get(code)) ?? code;
  }

  workflows(ledger: string): Workflow[] {
    return this.data.workflows.filter((workflow) => workflow.ledger === ledger);
  }

  rules(ledger: string): Rule[] {
    return this.data.rules.filter((rule) => rule.ledger === ledger);
  }

  /** Whether a phone can say which record a row is: every one of its keys may be restricted. */
  isNamedHere(ledger: Ledger): boolean {
    const isSeen = (name: string) => !ledger.columns.some(({ key, sensitivity }) => key === name && sensitivity === "S3");
    return ledger.keys.some((key) => key.every(isSeen));
  }

  /** The columns that a person fills in on a phone: not those that the document says, and nothing restricted. */
  fields(ledger: Ledger): Column[] {
    return ledger.columns.filter(
      (column) => column.sensitivity !== "S3" && !ledger.unit_columns.includes(column.key),
    );
  }
}
