// What a device holds, in memory, and what a page of an exchange makes of it. Pure: it says what has to be written, and somebody
// else writes it, in one transaction.

import { dependenciesOf, hashOf, LedgerDocument } from "../document/document";
import { type Identity, keyOf } from "../document/identity";
import type { Ask, DocumentPull } from "./frames";
import { isUnmet, type Outgoing, type Page } from "./session";

/** Documents asked about in one request. */
const ASKS_MAX = 500;
/** More changes than this behind a snapshot are folded into it. */
const CHANGES_MAX = 64;

export type State =
  /** The server has it. */
  | "there"
  /** It is still to be sent. */
  | "unsent"
  /** The server has refused it, and keeps it for a supervisor. */
  | "held"
  /** The server has refused it, and only this device has it. */
  | "refused";

export interface StoredChange {
  readonly number: number;
  readonly identity: Identity;
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly state: State;
  readonly refusal: string | undefined;
  /** When it was written here, in milliseconds. */
  readonly at: number;
}

export interface StoredDocument {
  readonly identity: Identity;
  readonly snapshot: Uint8Array | undefined;
  /** Whether the server was seen to have it since it last began anew. */
  readonly confirmed: boolean;
}

/** When the server has confirmed changes, and its signature. */
export interface SignedReceipt {
  readonly time: number;
  readonly changes: readonly string[];
  readonly signature: Uint8Array;
}

/** What has to be written in one transaction. */
export interface Writes {
  readonly documents: Map<string, StoredDocument | undefined>;
  readonly changes: Map<number, StoredChange | undefined>;
  cursor: Uint8Array | undefined;
  receipt: SignedReceipt | undefined;
  /** Nothing may be left of this device's data. */
  erased: boolean;
}

function nothing(): Writes {
  return { documents: new Map(), changes: new Map(), cursor: undefined, receipt: undefined, erased: false };
}

export class Replica {
  private readonly documents = new Map<string, StoredDocument>();
  private readonly changes = new Map<number, StoredChange>();
  private readonly numbers = new Map<string, number>();
  private readonly loaded = new Map<string, LedgerDocument>();
  private next = 1;
  private actor: string;

  constructor(
    private readonly actors: () => string,
    public cursor: Uint8Array | undefined,
    documents: Iterable<StoredDocument>,
    changes: Iterable<StoredChange>,
  ) {
    this.actor = actors();
    for (const document of documents) this.documents.set(keyOf(document.identity), document);
    for (const change of changes) this.hold(change);
  }

  identities(): Identity[] {
    return [...this.documents.values()].map((document) => document.identity);
  }

  unsent(): Outgoing[] {
    return this.inState("unsent");
  }

  /** Changes that the server did not take, and what it said of them. */
  refused(): StoredChange[] {
    return [...this.inState("held"), ...this.inState("refused")];
  }

  /** Changes that the server keeps for its supervisors; the oldest first, a few at a time. */
  held(): string[] {
    return this.inState("held")
      .slice(0, ASKS_MAX)
      .map((change) => change.hash);
  }

  /** Documents that the server has not named since it began anew; a few at a time. */
  unconfirmed(): Ask[] {
    const open = [...this.documents.values()].filter((document) => !document.confirmed).slice(0, ASKS_MAX);
    return open.map(({ identity }) => ({
      identity,
      heads: this.document(identity).heads(),
      held: this.of(identity)
        .filter((change) => change.state === "held")
        .map((change) => change.hash),
    }));
  }

  /** The document as this device sees it: without what the server has refused, and what builds upon that. */
  document(identity: Identity): LedgerDocument {
    const key = keyOf(identity);
    let document = this.loaded.get(key);
    if (document === undefined) {
      let changes = this.of(identity);
      const refused = new Set(changes.filter(isRefused).map((change) => change.hash));
      if (refused.size > 0) {
        for (const change of changes) {
          if (dependenciesOf(change.bytes).some((hash) => refused.has(hash))) refused.add(change.hash);
        }
        changes = changes.filter((change) => !refused.has(change.hash));
      }
      document = this.load(identity, changes);
      this.loaded.set(key, document);
    }
    return document;
  }

  /** Takes in a change that was made here. */
  append(identity: Identity, hash: string, bytes: Uint8Array, at: number): Writes {
    const writes = nothing();
    this.register(writes, identity);
    this.put(writes, { number: this.next, identity, hash, bytes, state: "unsent", refusal: undefined, at });
    return this.apply(writes, false);
  }

  /** Takes in one page whole: news, receipts, and the cursor that they lead to. */
  commit(page: Page): Writes {
    const writes = nothing();
    if (page.restart) {
      for (const [key, document] of this.documents) writes.documents.set(key, { ...document, confirmed: false });
    }
    // It has forgotten what it kept for its supervisors.
    for (const hash of page.unknown) this.settle(writes, hash, "unsent", undefined);
    for (const pull of page.documents) this.news(writes, pull, page.receipts);
    const named = new Set(page.documents.map((pull) => keyOf(pull.identity)));
    for (const identity of page.wanted) {
      // What has news at the same time is asked about once more.
      if (!named.has(keyOf(identity))) this.sendAll(writes, identity);
      for (const change of this.of(identity)) {
        if (change.state === "held") this.settle(writes, change.hash, "unsent", undefined);
      }
    }
    for (const identity of page.asked) this.confirm(writes, identity, true);
    for (const identity of page.wanted) this.confirm(writes, identity, false);
    if (page.signature !== undefined && page.receipts.length > 0) {
      writes.receipt = { time: page.signature.time, changes: page.receipts, signature: page.signature.bytes };
    }
    for (const hash of page.receipts) this.settle(writes, hash, "there", undefined);
    for (const refusal of page.refusals) {
      if (isUnmet(refusal)) {
        // What it builds upon was there once: the server has lost it, and gets all of the document.
        const change = this.named(writes, refusal.hash);
        if (change !== undefined) this.confirm(writes, change.identity, false);
      } else {
        this.settle(writes, refusal.hash, refusal.quarantined ? "held" : "refused", refusal.sentence);
      }
    }
    for (const identity of page.dropped) this.drop(writes, identity, page.erase);
    writes.cursor = page.cursor;
    this.cursor = page.cursor;
    const applied = this.apply(writes, page.erase);
    if (page.dropped.length > 0 || page.refusals.length > 0) {
      // A document that lost changes of an actor would number its next ones alike, which wedges it for good.
      this.actor = this.actors();
      this.loaded.clear();
    }
    return applied;
  }

  /** What a reply's news make of a document. */
  private news(writes: Writes, pull: DocumentPull, receipts: readonly string[]): void {
    const { identity } = pull;
    this.register(writes, identity);
    const stored = this.of(identity);
    const ours = this.document(identity);
    if (pull.whole) {
      const theirs = LedgerDocument.load(this.actor, pull.snapshot, pull.changes);
      if (pull.successor !== undefined && !ours.isEmpty() && !ours.contains(pull.successor.root)) {
        // Rows were erased for good, from a book that no phone is given: what is unsent of it stays visible as refused.
        this.fold(writes, identity, theirs);
        const sentence = "该册已由上级清除并重建，这处修改未并入 | this book was replaced after an erasure";
        for (const change of stored) {
          const isCovered = pull.successor.covers.includes(change.hash) || change.state === "there";
          if (isCovered) writes.changes.set(change.number, undefined);
          else this.settle(writes, change.hash, "refused", sentence);
        }
        return;
      }
      const merged = ours.copy();
      merged.merge(theirs);
      this.fold(writes, identity, theirs);
      for (const change of stored) {
        if (theirs.contains(change.hash) || change.state === "there") writes.changes.set(change.number, undefined);
      }
      const refused = new Set(stored.filter(isRefused).map((change) => change.hash));
      for (const lost of merged.changesSince(theirs.heads())) {
        // What the server lacks is sent again, each behind what it builds upon.
        if (!theirs.contains(lost.hash) && !refused.has(lost.hash)) this.again(writes, identity, lost.hash, lost.bytes);
      }
      return;
    }
    if (stored.length + pull.changes.length <= CHANGES_MAX) {
      for (const bytes of pull.changes) this.arrived(writes, identity, bytes);
      return;
    }
    // Only what the server has goes into the snapshot: the rest may still be refused.
    const news = new Set(pull.changes.map(hashOf));
    const isThere = (change: StoredChange) =>
      change.state === "there" || receipts.includes(change.hash) || news.has(change.hash);
    const there = this.load(identity, stored.filter(isThere));
    there.take(undefined, pull.changes);
    this.fold(writes, identity, there);
    for (const change of stored) {
      if (there.contains(change.hash)) writes.changes.set(change.number, undefined);
    }
  }

  /** Puts a snapshot in the place of everything that the server has. */
  private fold(writes: Writes, identity: Identity, theirs: LedgerDocument): void {
    writes.documents.set(keyOf(identity), { identity, snapshot: theirs.save(), confirmed: true });
  }

  /** Sends everything of a document: the server has nothing of it. */
  private sendAll(writes: Writes, identity: Identity): void {
    const all = this.document(identity).changesSince([]);
    writes.documents.set(keyOf(identity), { identity, snapshot: undefined, confirmed: false });
    for (const change of this.of(identity)) {
      if (change.state === "there") writes.changes.set(change.number, undefined);
    }
    for (const { hash, bytes } of all) this.again(writes, identity, hash, bytes);
  }

  private again(writes: Writes, identity: Identity, hash: string, bytes: Uint8Array): void {
    const known = this.named(writes, hash);
    if (known !== undefined) writes.changes.set(known.number, undefined);
    this.put(writes, { number: this.next, identity, hash, bytes, state: "unsent", refusal: undefined, at: 0 });
  }

  private arrived(writes: Writes, identity: Identity, bytes: Uint8Array): void {
    const hash = hashOf(bytes);
    const known = this.named(writes, hash);
    if (known !== undefined) this.settle(writes, hash, "there", undefined);
    else this.put(writes, { number: this.next, identity, hash, bytes, state: "there", refusal: undefined, at: 0 });
  }

  private drop(writes: Writes, identity: Identity, erase: boolean): void {
    const changes = this.of(identity).map((change) => writes.changes.get(change.number) ?? change);
    // Somebody may have gone on writing meanwhile: that is sent first, and the question asked again.
    if (changes.some((change) => change.state === "unsent")) {
      this.confirm(writes, identity, false);
      return;
    }
    writes.documents.set(keyOf(identity), undefined);
    for (const change of changes) {
      // What was refused stays, for whoever wrote it to see; unless nobody is to see anything any more.
      if (change.state === "there" || (erase && change.state === "held")) writes.changes.set(change.number, undefined);
    }
  }

  private confirm(writes: Writes, identity: Identity, confirmed: boolean): void {
    const key = keyOf(identity);
    const document = writes.documents.has(key) ? writes.documents.get(key) : this.documents.get(key);
    if (document !== undefined) writes.documents.set(key, { ...document, confirmed });
  }

  private settle(writes: Writes, hash: string, state: State, refusal: string | undefined): void {
    const change = this.named(writes, hash);
    if (change !== undefined) writes.changes.set(change.number, { ...change, state, refusal });
  }

  private named(writes: Writes, hash: string): StoredChange | undefined {
    const number = this.numbers.get(hash);
    if (number === undefined) return undefined;
    return writes.changes.has(number) ? writes.changes.get(number) : this.changes.get(number);
  }

  private register(writes: Writes, identity: Identity): void {
    const key = keyOf(identity);
    if (!this.documents.has(key) && !writes.documents.has(key)) {
      writes.documents.set(key, { identity, snapshot: undefined, confirmed: true });
    }
  }

  private put(writes: Writes, change: StoredChange): void {
    writes.changes.set(change.number, change);
    this.numbers.set(change.hash, change.number);
    this.next += 1;
  }

  private apply(writes: Writes, erase: boolean): Writes {
    for (const [key, document] of writes.documents) {
      if (document === undefined) this.documents.delete(key);
      else this.documents.set(key, document);
      this.loaded.delete(key);
    }
    for (const [number, change] of writes.changes) {
      const key = change ?? this.changes.get(number);
      if (key !== undefined) this.loaded.delete(keyOf(key.identity));
      if (change !== undefined) this.hold(change);
      else this.release(number);
    }
    if (erase) {
      writes.erased = this.documents.size === 0 && this.inState("unsent").length === 0;
      if (!writes.erased) {
        // The server may have lost what it has acknowledged: everything is asked about once more.
        for (const [key, document] of this.documents) {
          const open = { ...document, confirmed: false };
          this.documents.set(key, open);
          writes.documents.set(key, open);
        }
      }
    }
    return writes;
  }

  private hold(change: StoredChange): void {
    this.changes.set(change.number, change);
    this.numbers.set(change.hash, change.number);
    this.next = Math.max(this.next, change.number + 1);
  }

  private release(number: number): void {
    const change = this.changes.get(number);
    this.changes.delete(number);
    if (change !== undefined && this.numbers.get(change.hash) === number) this.numbers.delete(change.hash);
  }

  private of(identity: Identity): StoredChange[] {
    const key = keyOf(identity);
    return this.ordered().filter((change) => keyOf(change.identity) === key);
  }

  private inState(state: State): StoredChange[] {
    return this.ordered().filter((change) => change.state === state);
  }

  private ordered(): StoredChange[] {
    return [...this.changes.values()].sort((a, b) => a.number - b.number);
  }

  private load(identity: Identity, changes: readonly StoredChange[]): LedgerDocument {
    const snapshot = this.documents.get(keyOf(identity))?.snapshot;
    return LedgerDocument.load(
      this.actor,
      snapshot,
      changes.map((change) => change.bytes),
    );
  }
}

function isRefused(change: StoredChange): boolean {
  return change.state === "held" || change.state === "refused";
}
