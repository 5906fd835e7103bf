import assert from "node:assert/strict";
import { test } from "node:test";
import { type StoredVault, Vault } from "../src/store/vault";

const plain = new TextEncoder().encode("张三");

test("what is sealed opens with the PIN, with another one after it was changed, and with none else", async () => {
  const { vault, stored } = await Vault.create("493817");
  const sealed = await vault.seal(plain);
  assert.equal(await Vault.open(stored, "493818"), undefined);
  const opened = await Vault.open(stored, "493817");
  assert.deepEqual(await opened?.open(sealed), plain);
  const changed = await opened?.wrap("825613");
  assert.ok(changed !== undefined);
  assert.equal(await Vault.open(changed, "493817"), undefined);
  assert.deepEqual(await (await Vault.open(changed, "825613"))?.open(sealed), plain);
  // What the county gives back is the key itself.
  assert.deepEqual(await (await Vault.of(vault.raw)).open(sealed), plain);
});

test("what an earlier version has closed still opens", async () => {
  const [pin, raw, salt, iv] = ["493817", new Uint8Array(32).fill(7), new Uint8Array(16).fill(1), new Uint8Array(12).fill(2)];
  const secret = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const material = await crypto.subtle.importKey("raw", new TextEncoder().encode(pin), "PBKDF2", false, ["deriveBits"]);
  const bits = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: 1000 }, material, 256);
  const mixed = await crypto.subtle.sign("HMAC", secret, bits);
  const key = await crypto.subtle.importKey("raw", mixed, "AES-GCM", false, ["encrypt"]);
  const wrapped = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, raw));
  const stored: StoredVault = { salt, rounds: 1000, secret, iv, wrapped };
  assert.equal(await Vault.open(stored, "493818"), undefined);
  const opened = await Vault.open(stored, pin);
  assert.deepEqual(opened?.raw, raw);
});
