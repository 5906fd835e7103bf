// The device's end of an exchange, as a pure state machine:
//   while ((request = session.nextRequest(now))) { reply = send(request); persist(session.receive(reply)); session.goOn(…) }
// Losing the connection anywhere is harmless: what has no receipt is sent again, and the cursor moves only with what was stored.

import { type Identity, keyOf } from "../document/identity";
import {
  type Ask,
  type DocumentPull,
  type DocumentPush,
  type ExchangeReply,
  type ExchangeRequest,
  MISSING_DEPENDENCIES,
  PROTOCOL,
  type RefusedChange,
} from "./frames";

/**
 * Bytes of changes in a request: to begin with, small enough to get through on a bad line; on a good one twice as many each
 * time, up to a quarter of what the server takes.
 */
const PUSH_BYTES = 256 * 1024;
const PUSH_BYTES_MAX = 2 * 1024 * 1024;
/** A line is good while a request is answered, and its answer stored, within this time, in milliseconds. */
const BRISK = 1000;
/** Times that one exchange sends a change that builds upon what the server does not have: the second time with all of it. */
const UNMET_MAX = 2;
/** Times that one exchange goes on after its last page. */
const ROUNDS_MAX = 1000;

/** A change without a receipt. */
export interface Outgoing {
  readonly identity: Identity;
  readonly hash: string;
  readonly bytes: Uint8Array;
}

/** What has to be stored in one transaction before the exchange goes on. */
export interface Page {
  readonly cursor: Uint8Array;
  readonly receipts: readonly string[];
  readonly refusals: readonly RefusedChange[];
  readonly documents: readonly DocumentPull[];
  /** How far this clock is ahead of the server's, in milliseconds. */
  readonly clockAhead: number;
  /** Whether every document comes anew from here on: none is confirmed any more. */
  readonly restart: boolean;
  /** Whether the page is the last: what is still not confirmed is to be asked about. */
  readonly complete: boolean;
  readonly asked: readonly Identity[];
  readonly dropped: readonly Identity[];
  readonly wanted: readonly Identity[];
  readonly unknown: readonly string[];
  readonly signature: { readonly bytes: Uint8Array; readonly time: number } | undefined;
  /** A checkpoint of the server's audit log, to be kept whatever it says. */
  readonly checkpoint: string | undefined;
  /** Whether the device was revoked: once nothing is unsent, it keeps nothing. */
  readonly erase: boolean;
}

/** A reply that this end cannot make sense of. */
export class SessionError extends Error {}

/** Whether what a change builds upon is all that is wrong with it. */
export function isUnmet(refusal: RefusedChange): boolean {
  return refusal.code === MISSING_DEPENDENCIES && !refusal.quarantined;
}

export class DeviceSession {
  private inFlight: string[] = [];
  private asks: readonly Ask[] = [];
  private readonly unmet = new Map<string, number>();
  private sentAt = 0;
  private rounds = 0;
  private finished = false;

  constructor(
    private cursor: Uint8Array | undefined,
    private outbox: readonly Outgoing[],
    private held: readonly string[],
    private pushBytes = PUSH_BYTES,
  ) {}

  /** One request that holds everything, for a bundle. */
  static inOne(
    cursor: Uint8Array | undefined,
    outbox: readonly Outgoing[],
    held: readonly string[],
    asks: readonly Ask[],
  ): DeviceSession {
    const session = new DeviceSession(cursor, outbox, held, Number.POSITIVE_INFINITY);
    session.asks = asks;
    return session;
  }

  /** A page of an answer to such a request, whenever that was. */
  static page(reply: ExchangeReply): Page {
    const session = new DeviceSession(undefined, [], []);
    return { ...session.receive({ ...reply, more: false }), complete: !reply.more, clockAhead: 0 };
  }

  /** The next request, or nothing when both ends have everything. */
  nextRequest(now: number): ExchangeRequest | undefined {
    if (this.finished) return undefined;
    const took = now - this.sentAt;
    if (this.inFlight.length > 0 && took >= 0 && took < BRISK) {
      this.pushBytes = Math.max(this.pushBytes, Math.min(this.pushBytes * 2, PUSH_BYTES_MAX));
    }
    this.sentAt = now;
    this.inFlight = [];
    const push: DocumentPush[] = [];
    let bytes = 0;
    for (const change of this.outbox) {
      // At least one, however large: otherwise it would never leave.
      if (bytes > 0 && bytes + change.bytes.length > this.pushBytes) break;
      bytes += change.bytes.length;
      this.inFlight.push(change.hash);
      const pushed = { hash: change.hash, bytes: change.bytes };
      const last = push.at(-1);
      if (last !== undefined && keyOf(last.identity) === keyOf(change.identity)) {
        last.changes.push(pushed);
      } else {
        push.push({ identity: change.identity, changes: [pushed] });
      }
    }
    const held = this.held;
    // Once in a session is enough.
    this.held = [];
    return { cursor: this.cursor, push, deviceTime: now, asks: this.asks, held };
  }

  /** Takes the reply to the last request. Store the result before asking for the next request. */
  receive(reply: ExchangeReply): Page {
    if (reply.protocol !== PROTOCOL) {
      throw new SessionError(`the server speaks version ${reply.protocol} of the exchange: update the app`);
    }
    const answered = new Set([...reply.receipts, ...reply.refusals.map((refusal) => refusal.hash)]);
    const unanswered = this.inFlight.filter((hash) => !answered.has(hash)).length;
    if (unanswered > 0) {
      throw new SessionError(`neither a receipt nor a refusal for ${unanswered} change(s)`);
    }
    for (const refusal of reply.refusals.filter(isUnmet)) {
      this.unmet.set(refusal.hash, (this.unmet.get(refusal.hash) ?? 0) + 1);
    }
    if (reply.more && this.cursor !== undefined && isEqual(this.cursor, reply.cursor)) {
      throw new SessionError("the server announces more but its cursor stands still");
    }
    this.outbox = this.outbox.slice(this.inFlight.length);
    this.cursor = reply.cursor;
    this.finished = !reply.more && this.outbox.length === 0;
    const asked = this.asks.map((ask) => ask.identity);
    this.asks = [];
    const { cursor, receipts, refusals, documents, restart, dropped, wanted, unknown, erase, checkpoint } = reply;
    return {
      cursor,
      receipts,
      refusals,
      documents,
      clockAhead: this.sentAt - reply.serverTime,
      restart,
      complete: !reply.more,
      asked,
      dropped,
      wanted,
      unknown,
      signature: reply.signature && { bytes: reply.signature, time: reply.serverTime },
      checkpoint,
      erase,
    };
  }

  /** Goes on with what storing the last reply has brought up: documents to ask about, changes that the server has lost. */
  goOn(asks: readonly Ask[], outbox: readonly Outgoing[]): void {
    const left = outbox.filter((change) => (this.unmet.get(change.hash) ?? 0) < UNMET_MAX);
    this.rounds += 1;
    if (this.rounds > ROUNDS_MAX) return;
    this.finished &&= asks.length === 0 && left.length === 0;
    this.asks = asks;
    this.outbox = left;
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
