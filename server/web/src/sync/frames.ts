// The frames of the exchange: CBOR with numbered fields. Unknown fields are skipped.

import { decode, encode } from "cborg";
import { BOOKS, type Identity } from "../document/identity";

export const PROTOCOL = 1;

export interface PushedChange {
  readonly hash: string;
  readonly bytes: Uint8Array;
}

export interface DocumentPush {
  readonly identity: Identity;
  readonly changes: PushedChange[];
}

/** A document that the device holds and the server has not named. */
export interface Ask {
  readonly identity: Identity;
  readonly heads: readonly string[];
  readonly held: readonly string[];
}

export interface ExchangeRequest {
  readonly cursor: Uint8Array | undefined;
  readonly push: readonly DocumentPush[];
  readonly deviceTime: number;
  readonly asks: readonly Ask[];
  readonly held: readonly string[];
}

export interface RefusedChange {
  readonly hash: string;
  readonly code: number;
  readonly sentence: string;
  readonly quarantined: boolean;
}

export interface Successor {
  readonly root: string;
  readonly covers: readonly string[];
}

export interface DocumentPull {
  readonly identity: Identity;
  readonly snapshot: Uint8Array | undefined;
  readonly changes: readonly Uint8Array[];
  /** Whether this is all of the document: what it lacks, the server lacks. */
  readonly whole: boolean;
  readonly successor: Successor | undefined;
}

export interface ExchangeReply {
  readonly protocol: number;
  readonly receipts: readonly string[];
  readonly refusals: readonly RefusedChange[];
  readonly documents: readonly DocumentPull[];
  readonly cursor: Uint8Array;
  readonly more: boolean;
  readonly serverTime: number;
  readonly restart: boolean;
  readonly dropped: readonly Identity[];
  readonly unknown: readonly string[];
  readonly wanted: readonly Identity[];
  readonly signature: Uint8Array | undefined;
  readonly erase: boolean;
  /** A checkpoint of the server's audit log: whoever keeps it is a witness of the log. */
  readonly checkpoint: string | undefined;
}

/** Number of the refusal "what it builds upon is missing". */
export const MISSING_DEPENDENCIES = 5;

export class FrameError extends Error {}

type Fields = Map<number, unknown>;

export function encodeRequest(request: ExchangeRequest): Uint8Array {
  return encode(fieldsOf(request));
}

export function fieldsOf(request: ExchangeRequest): Fields {
  const fields: Fields = new Map<number, unknown>([[0, PROTOCOL]]);
  if (request.cursor !== undefined) fields.set(1, request.cursor);
  fields.set(2, request.push.map(push));
  fields.set(3, request.deviceTime);
  fields.set(4, request.asks.map(ask));
  fields.set(5, request.held.map(bytes));
  return fields;
}

function push({ identity, changes }: DocumentPush): Fields {
  const pushed = changes.map(
    (change) =>
      new Map<number, unknown>([
        [0, bytes(change.hash)],
        [1, change.bytes],
      ]),
  );
  return new Map<number, unknown>([
    [0, encodeIdentity(identity)],
    [1, pushed],
  ]);
}

function ask({ identity, heads, held }: Ask): Fields {
  return new Map<number, unknown>([
    [0, encodeIdentity(identity)],
    [1, heads.map(bytes)],
    [2, held.map(bytes)],
  ]);
}

function encodeIdentity({ unit, book, period }: Identity): Fields {
  return new Map<number, unknown>([
    [0, bytes(unit.replaceAll("-", ""))],
    [1, BOOKS.indexOf(book)],
    [2, period],
  ]);
}

export function decodeReply(frame: Uint8Array): ExchangeReply {
  try {
    return replyOf(decode(frame, { useMaps: true }) as Fields);
  } catch (error) {
    throw new FrameError(`not an exchange frame: ${String(error)}`);
  }
}

export function replyOf(fields: Fields): ExchangeReply {
  return {
    protocol: fields.get(0) as number,
    receipts: list(fields, 1).map(hex),
    refusals: list<Fields>(fields, 2).map((refusal) => ({
      hash: hex(refusal.get(0) as Uint8Array),
      code: refusal.get(1) as number,
      sentence: refusal.get(2) as string,
      quarantined: refusal.get(3) === true,
    })),
    documents: list<Fields>(fields, 3).map(pull),
    cursor: fields.get(4) as Uint8Array,
    more: fields.get(5) === true,
    serverTime: Number(fields.get(6)),
    restart: fields.get(7) === true,
    dropped: list<Fields>(fields, 8).map(decodeIdentity),
    unknown: list(fields, 9).map(hex),
    wanted: list<Fields>(fields, 10).map(decodeIdentity),
    signature: optional(fields.get(11) as Uint8Array | null | undefined),
    erase: fields.get(12) === true,
    checkpoint: optional(fields.get(13) as string | null | undefined),
  };
}

function pull(fields: Fields): DocumentPull {
  const successor = optional(fields.get(4) as Fields | null | undefined);
  return {
    identity: decodeIdentity(fields.get(0) as Fields),
    snapshot: optional(fields.get(1) as Uint8Array | null | undefined),
    changes: list<Uint8Array>(fields, 2),
    whole: fields.get(3) === true,
    successor: successor && { root: hex(successor.get(0) as Uint8Array), covers: list(successor, 1).map(hex) },
  };
}

export function decodeIdentity(fields: Fields): Identity {
  const unit = hex(fields.get(0) as Uint8Array);
  const book = BOOKS[fields.get(1) as number];
  if (unit.length !== 32 || book === undefined) throw new FrameError("unknown unit or book");
  const parts = [unit.slice(0, 8), unit.slice(8, 12), unit.slice(12, 16), unit.slice(16, 20), unit.slice(20)];
  return { unit: parts.join("-"), book, period: fields.get(2) as string };
}

function list<T = Uint8Array>(fields: Fields, field: number): T[] {
  return (fields.get(field) as T[] | undefined) ?? [];
}

function optional<T>(value: T | null | undefined): T | undefined {
  return value ?? undefined;
}

export function hex(value: Uint8Array): string {
  return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** What a server signs: that these changes are durable, and when it said so. */
export function receiptStatement(receipts: readonly string[], serverTime: number): Uint8Array {
  const head = new TextEncoder().encode("taizhang receipt 1\0");
  const statement = new Uint8Array(head.length + 8 + 32 * receipts.length);
  statement.set(head);
  new DataView(statement.buffer).setBigInt64(head.length, BigInt(serverTime));
  receipts.forEach((receipt, at) => statement.set(bytes(receipt), head.length + 8 + 32 * at));
  return statement;
}
