// The device's own keys: it signs with one, and bundles for it are encrypted to the other. They never leave the vault.

import { ed25519 } from "@noble/curves/ed25519.js";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { bytes, hex, receiptStatement } from "../sync/frames";
import type { Page } from "../sync/session";

export interface Keys {
  readonly signing: Uint8Array;
  readonly identity: string;
}

export async function newKeys(): Promise<Keys> {
  return { signing: ed25519.utils.randomSecretKey(), identity: await generateIdentity() };
}

/** The public ones, as enrolment hands them over. */
export async function publicKeys(keys: Keys): Promise<string> {
  return `${hex(ed25519.getPublicKey(keys.signing))}.${await identityToRecipient(keys.identity)}`;
}

export function randomHex(length: number): string {
  return hex(crypto.getRandomValues(new Uint8Array(length)));
}

/** Whether a page's receipts are signed with the secret to the first of these public keys. */
export function areSigned({ receipts, signature }: Pick<Page, "receipts" | "signature">, serverKeys: string): boolean {
  if (receipts.length === 0) return true;
  if (signature === undefined) return false;
  const [signing = ""] = serverKeys.split(".");
  try {
    return ed25519.verify(signature.bytes, receiptStatement(receipts, signature.time), bytes(signing));
  } catch {
    return false;
  }
}
