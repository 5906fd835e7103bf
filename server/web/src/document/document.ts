// A document as rows and cells: what automerge keeps of one (unit, book, period).

import { type Address, cellOf, keyOfAddress, parseAddress, REMOVED } from "./address";
import { decodeChange, emptyHandle, type Handle } from "./automerge";
import type { Identity } from "./identity";
import { isSame, type Value } from "./value";

/** Who made a change, and how: the message of every change. */
export interface Provenance {
  readonly who: string;
  readonly how: "form" | "import" | "return" | "resolve" | "undo" | "keep" | "carry";
  readonly source?: string;
}

/** One of the values of a cell, and where it came from. */
export interface Written {
  readonly value: Value;
  readonly change: string;
  readonly provenance: Provenance | undefined;
  readonly time: number;
}

/** A cell that people wrote differently: the winner first. */
export interface Conflict {
  readonly address: Address;
  readonly values: readonly Written[];
}

export interface Row {
  readonly id: string;
  /** Column → value; the members of a set stand under `column/code`. */
  readonly cells: Record<string, Value>;
  removed: boolean;
}

export interface Edit {
  readonly address: Address;
  readonly value: Value;
}

export interface Author {
  readonly provenance: Provenance;
  /** Seconds since 1970 by this device's clock. */
  readonly time: number;
}

export interface LocalChange {
  readonly hash: string;
  readonly bytes: Uint8Array;
}

const ROOT = "_root";
const FORMAT = 1;

export class DamagedDocument extends Error {}

/** A row that was to be new is there: somebody else has added it meanwhile. */
export class RowTaken extends Error {}

export class LedgerDocument {
  /** Rows, once they have been read; what is written makes them old. */
  private read: Map<string, Map<string, Row>> | undefined;

  private constructor(
    private readonly handle: Handle,
    private readonly actor: string,
  ) {}

  /** Reads a snapshot and the changes behind it; what is written to it is written as this actor. */
  static load(actor: string, snapshot: Uint8Array | undefined, changes: readonly Uint8Array[]): LedgerDocument {
    const document = new LedgerDocument(emptyHandle(actor), actor);
    document.take(snapshot, changes);
    return document;
  }

  /** Takes in what the server sent. */
  take(snapshot: Uint8Array | undefined, changes: readonly Uint8Array[]): void {
    this.read = undefined;
    if (snapshot !== undefined) {
      this.handle.loadIncremental(snapshot);
      if (this.isEmpty()) throw new DamagedDocument("a snapshot without content");
    }
    if (changes.length > 0) this.handle.applyChanges([...changes]);
    const missing = this.handle.getMissingDeps([]);
    if (missing.length > 0) throw new DamagedDocument(`missing changes: ${missing.join(" ")}`);
  }

  /** Another copy, which may be written to without this one changing. */
  copy(): LedgerDocument {
    return new LedgerDocument(this.handle.clone(this.actor), this.actor);
  }

  /** This document as somebody saw it, to be written to as if nothing had come since. The actor must be a new one. */
  asSeen(heads: readonly string[], actor: string): LedgerDocument {
    if (heads.length === 0) return new LedgerDocument(emptyHandle(actor), actor);
    return new LedgerDocument(this.handle.fork(actor, [...heads]), actor);
  }

  save(): Uint8Array {
    return this.handle.saveNoCompress();
  }

  /** The newest changes, sorted: equal heads are equal documents. */
  heads(): string[] {
    return this.handle.getHeads().sort();
  }

  isEmpty(): boolean {
    return this.handle.getHeads().length === 0;
  }

  contains(hash: string): boolean {
    return this.handle.getChangeMetaByHash(hash) !== null;
  }

  /** The changes that these heads do not have, oldest first. */
  changesSince(heads: readonly string[]): LocalChange[] {
    const known = heads.filter((hash) => this.contains(hash));
    return this.handle.getChanges(known).map((bytes) => ({ hash: hashOf(bytes), bytes }));
  }

  merge(other: LedgerDocument): void {
    this.read = undefined;
    this.handle.merge(other.handle);
  }

  get(address: Address): Value | undefined {
    const value = this.handle.getWithType(ROOT, keyOfAddress(address));
    return value === null ? undefined : this.valueOf(value);
  }

  /** Writes the cells that differ from what is there, as one change; nothing when nothing differs. */
  write(identity: Identity, edits: readonly Edit[], author: Author): LocalChange | undefined {
    const different = edits.filter((edit) => this.get(edit.address) !== edit.value);
    if (different.length === 0) return undefined;
    if (this.isEmpty()) {
      this.handle.put(ROOT, "@format", FORMAT, "int");
      this.handle.put(ROOT, "@unit", identity.unit, "str");
      this.handle.put(ROOT, "@book", identity.book, "str");
      this.handle.put(ROOT, "@period", identity.period, "str");
    }
    return this.commit(different, author);
  }

  /** Writes a record that is to be new: never to a row that is there, removed or not. */
  add(identity: Identity, edits: readonly Edit[], author: Author): LocalChange | undefined {
    if (edits.some(({ address }) => this.rows(address.ledger).has(address.row))) throw new RowTaken();
    return this.write(identity, edits, author);
  }

  /** A person decides what a cell says: written even if it is the winner already, which ends the conflict everywhere. */
  settle(address: Address, value: Value, author: Author): LocalChange | undefined {
    // Putting the winner's value once more would only delete the others: no change for a gate to take, and none that says
    // who has decided. One of the others is put first.
    const other = this.get(address) === value ? this.conflictAt(keyOfAddress(address))?.values[1] : undefined;
    const edits = other === undefined ? [] : [{ address, value: other.value }];
    return this.commit([...edits, { address, value }], author);
  }

  private commit(edits: readonly Edit[], author: Author): LocalChange | undefined {
    this.read = undefined;
    for (const { address, value } of edits) {
      const key = keyOfAddress(address);
      const now = this.handle.getWithType(ROOT, key);
      if (now?.[0] === "text" && typeof value === "string") {
        this.handle.updateText(now[1], value);
      } else if (typeof value === "number") {
        this.handle.put(ROOT, key, value, "int");
      } else if (typeof value === "string") {
        this.handle.put(ROOT, key, value, "str");
      } else {
        this.handle.put(ROOT, key, value, value === null ? "null" : "boolean");
      }
    }
    const hash = this.handle.commit(JSON.stringify(author.provenance), author.time);
    if (hash === null) return undefined;
    const bytes = this.handle.getChangeByHash(hash);
    if (bytes === null) throw new DamagedDocument("a change that was just made is not there");
    return { hash, bytes };
  }

  /** All rows of a ledger, removed ones too, by row id. */
  rows(ledger: string): Map<string, Row> {
    return this.tables().get(ledger) ?? new Map<string, Row>();
  }

  /** The ledgers that have rows here. */
  ledgers(): string[] {
    return [...this.tables().keys()];
  }

  private tables(): Map<string, Map<string, Row>> {
    if (this.read !== undefined) return this.read;
    const tables = new Map<string, Map<string, Row>>();
    for (const key of this.handle.keys(ROOT)) {
      const address = parseAddress(key);
      if (address === undefined) continue;
      const rows = tables.get(address.ledger) ?? new Map<string, Row>();
      tables.set(address.ledger, rows);
      const row = rows.get(address.row) ?? { id: address.row, cells: {}, removed: false };
      rows.set(address.row, row);
      const value = this.get(address) ?? null;
      if (address.column === REMOVED) row.removed = value === true;
      else row.cells[cellOf(address)] = value;
    }
    this.read = tables;
    return tables;
  }

  /** Every cell that has several values which differ. */
  conflicts(): Conflict[] {
    const conflicts = this.handle.keys(ROOT).map((key) => this.conflictAt(key));
    return conflicts.filter((conflict) => conflict !== undefined);
  }

  private conflictAt(key: string): Conflict | undefined {
    const all = this.handle.getAll(ROOT, key);
    const address = all.length > 1 ? parseAddress(key) : undefined;
    if (address === undefined) return undefined;
    const values: Written[] = [];
    // automerge lists the winner last.
    for (const entry of all.reverse()) {
      const value = this.valueOf(entry);
      if (!values.some((known) => isSame(known.value, value))) {
        values.push({ ...this.writtenBy(entry.at(-1) as string), value });
      }
    }
    return values.length > 1 ? { address, values } : undefined;
  }

  /** Everything that was ever written to a cell, oldest first. */
  history(address: Address): Written[] {
    const key = keyOfAddress(address);
    const history: Written[] = [];
    for (const bytes of this.handle.getChanges([])) {
      const change = decodeChange(bytes);
      // What a change has written over itself nobody has ever seen.
      let last: Written | undefined;
      for (const op of change.ops as { obj: string; key?: string; action: string; value?: unknown }[]) {
        if (op.obj !== ROOT || op.key !== key) continue;
        const isText = op.action === "makeText";
        const value = isText ? (this.get(address) ?? null) : scalar(op.value);
        last = { value, change: change.hash, provenance: provenance(change.message), time: change.time };
      }
      if (last !== undefined) history.push(last);
    }
    return history;
  }

  /**
   * Of these cells, what somebody has last written who is not to decide it: the server has given the cell back what it said, and
   * keeps what was written as a proposal.
   */
  proposed(addresses: readonly Address[]): Map<string, Written> {
    const found = new Map<string, Written>();
    const isKept = ({ message }: { message: string | null }) => provenance(message)?.how === "keep";
    if (!this.handle.getChangesMeta([]).some(isKept)) return found;
    for (const address of addresses) {
      const winner = this.handle.getAll(ROOT, keyOfAddress(address)).at(-1)?.at(-1);
      if (winner === undefined || this.writtenBy(winner as string).provenance?.how !== "keep") continue;
      const last = this.history(address).filter((version) => version.provenance?.how !== "keep").at(-1);
      if (last !== undefined && !isSame(last.value, this.get(address) ?? null)) found.set(cellOf(address), last);
    }
    return found;
  }

  private writtenBy(operation: string): Omit<Written, "value"> {
    const [counter, actor] = operation.split("@");
    const number = Number(counter);
    const change = this.handle
      .getChangesMeta([])
      .find((meta) => meta.actor === actor && meta.startOp <= number && number <= meta.maxOp);
    return { change: change?.hash ?? "", provenance: provenance(change?.message ?? null), time: change?.time ?? 0 };
  }

  /** JavaScript clients write `Text` where we write scalar strings: both read the same. */
  private valueOf(value: readonly unknown[]): Value {
    if (value[0] === "text") return this.handle.text(value[1] as string);
    return scalar(value[1]);
  }
}

function scalar(value: unknown): Value {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean" || typeof value === "number" || typeof value === "string") return value;
  return String(value);
}

function provenance(message: string | null): Provenance | undefined {
  if (message === null) return undefined;
  try {
    return JSON.parse(message) as Provenance;
  } catch {
    return undefined;
  }
}

/** The name of a change in receipts. */
export function hashOf(change: Uint8Array): string {
  return decodeChange(change).hash;
}

/** The rows that a change writes to, each as `ledger/row`. */
export function rowsIn(change: Uint8Array): string[] {
  const rows = new Set<string>();
  for (const op of decodeChange(change).ops as { obj: string; key?: string }[]) {
    const address = op.obj === ROOT && op.key !== undefined ? parseAddress(op.key) : undefined;
    if (address !== undefined) rows.add(`${address.ledger}/${address.row}`);
  }
  return [...rows];
}

/** The changes that a change builds upon. */
export function dependenciesOf(change: Uint8Array): string[] {
  return decodeChange(change).deps;
}
