// Row ids: derived from the natural key where the ledger has one that is filled, else random.

import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { identifies } from "../catalogue/shape";
import { isFilled, type Value } from "./value";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** Ten bytes as sixteen Crockford characters. */
export function rowText(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return text;
}

/** The row that this natural key names, on every replica that holds the secret. */
export function deriveRow(secret: Uint8Array, ledger: string, parts: readonly string[]): string {
  const encoder = new TextEncoder();
  const mac = hmac.create(sha256, secret);
  for (const part of [ledger, ...parts]) {
    const bytes = encoder.encode(part);
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(bytes.length));
    mac.update(length).update(bytes);
  }
  return rowText(mac.digest().slice(0, 10));
}

/** A value as natural keys compare it: NFKC, no white space. */
export function keyPart(value: Value): string {
  if (typeof value === "string") return value.normalize("NFKC").replace(/[\s\u0085]/gu, "");
  if (typeof value === "boolean") return value ? "是" : "否";
  return String(value ?? "");
}

export interface Keyed {
  readonly id: string;
  readonly keys: readonly (readonly string[])[];
  readonly columns: readonly { readonly key: string; readonly type: string; readonly sensitivity: string }[];
}

/** The row that the first usable natural key names (a bad value is no key); keys of restricted columns need the county's secret, which no phone has. */
export function rowOf(
  ledger: Keyed,
  publicKey: Uint8Array,
  valueOf: (column: string) => Value | undefined,
): string | undefined {
  for (const key of ledger.keys) {
    const isRestricted = key.some((name) =>
      ledger.columns.some((column) => column.key === name && column.sensitivity === "S3"),
    );
    if (isRestricted) continue;
    const values = key.map(valueOf);
    const typeOf = (name: string) => ledger.columns.find((column) => column.key === name)?.type ?? "";
    const isUsable = (value: Value | undefined, at: number): value is boolean | number | string =>
      isFilled(value) && (typeof value !== "string" || identifies(typeOf(key[at] ?? ""), value));
    if (values.every(isUsable)) {
      return deriveRow(publicKey, ledger.id, [key.join("+"), ...values.map(keyPart)]);
    }
  }
  return undefined;
}

export function randomRow(): string {
  return rowText(crypto.getRandomValues(new Uint8Array(10)));
}
