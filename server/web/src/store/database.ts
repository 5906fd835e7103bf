// IndexedDB: everything in it is sealed but the vault's own salt, the key as only the county can read it, and
// counters: who may write, how often a PIN was tried, how much is unsent.

import { decode, encode } from "cborg";
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { SignedReceipt, StoredChange, StoredDocument, Writes } from "../sync/replica";
import { type Sealed, type StoredVault, Vault } from "./vault";

const NAME = "taizhang";
const VERSION = 2;

interface Schema extends DBSchema {
  /** `vault`, `epoch`, and sealed values. */
  meta: { key: string; value: unknown };
  documents: { key: string; value: Sealed };
  changes: { key: number; value: Sealed };
  receipts: { key: number; value: Sealed };
  /** By SHA-256. */
  photos: { key: string; value: Sealed };
}

/** Another window has taken over: this one must not write any more. */
export class TakenOver extends Error {}

/** The browser has no room, or does not let the app keep anything. */
export class NoRoom extends Error {}

type StoreName = "meta" | "documents" | "changes" | "receipts" | "photos";

/** The data key, encrypted to the county's server. */
export interface StoredRecovery {
  readonly sealed: Uint8Array;
  /** Whose keys it is encrypted to. */
  readonly to: string;
  /** What was drawn to ask for it back, until there is an answer that fits: whoever got none asks again with the same. */
  readonly nonce?: string;
}

/** A photo of a record. */
export interface StoredPhoto {
  readonly hash: string;
  readonly unit: string;
  readonly bytes: Uint8Array;
  readonly isSent: boolean;
  /** Why the server does not take it, in its words: it is kept, and sent again when somebody says so. */
  readonly refusal?: string;
}

export interface Contents {
  readonly cursor: Uint8Array | undefined;
  readonly documents: StoredDocument[];
  readonly changes: StoredChange[];
}

export class Database {
  private vault: Vault | undefined;
  private epoch = 0;

  private constructor(private readonly db: IDBPDatabase<Schema>) {}

  static async open(): Promise<Database> {
    try {
      const db = await openDB<Schema>(NAME, VERSION, {
        upgrade(database, before) {
          if (before < 1) {
            database.createObjectStore("meta");
            database.createObjectStore("documents");
            database.createObjectStore("changes");
            database.createObjectStore("receipts", { autoIncrement: true });
          }
          if (before < 2) database.createObjectStore("photos");
        },
      });
      return new Database(db);
    } catch (error) {
      throw new NoRoom(String(error));
    }
  }

  /** Whether a PIN was chosen here. */
  async hasVault(): Promise<boolean> {
    return (await this.db.get("meta", "vault")) !== undefined;
  }

  async createVault(pin: string): Promise<void> {
    const { vault, stored } = await Vault.create(pin);
    await this.db.put("meta", stored, "vault");
    this.vault = vault;
  }

  /** Opens what is stored; `false` where the PIN is wrong. */
  async unlock(pin: string): Promise<boolean> {
    const stored = (await this.db.get("meta", "vault")) as StoredVault | undefined;
    this.vault = stored && (await Vault.open(stored, pin));
    // What an earlier version has closed, and PINs are tried at too easily.
    if (this.vault !== undefined && stored?.memory === undefined) await this.db.put("meta", await this.vault.wrap(pin), "vault");
    return this.vault !== undefined;
  }

  /** Opens what is stored with the key itself, and closes it by another PIN; `false` where it is another key. */
  async reopen(key: Uint8Array, pin: string): Promise<boolean> {
    const vault = await Vault.of(key);
    const setup = (await this.db.get("meta", "sealed:setup")) as Sealed | undefined;
    try {
      if (setup === undefined) return false;
      await vault.open(setup);
    } catch {
      return false;
    }
    await this.db.put("meta", await vault.wrap(pin), "vault");
    await this.noteAttempts(0);
    this.vault = vault;
    return true;
  }

  /** The data key. */
  get key(): Uint8Array {
    return this.opened().raw;
  }

  /** The data key as only the county can read it. */
  async recovery(): Promise<StoredRecovery | undefined> {
    return (await this.db.get("meta", "recovery")) as StoredRecovery | undefined;
  }

  async putRecovery(recovery: StoredRecovery): Promise<void> {
    await this.db.put("meta", recovery, "recovery");
  }

  /** How much was not sent when it was last counted: for whoever cannot open what is stored. */
  async unsent(): Promise<number> {
    return ((await this.db.get("meta", "unsent")) as number | undefined) ?? 0;
  }

  async noteUnsent(count: number): Promise<void> {
    await this.db.put("meta", count, "unsent");
  }

  /** Forgets the key: nothing can be read until the PIN is given again. */
  lock(): void {
    this.vault = undefined;
  }

  async changePin(old: string, pin: string): Promise<boolean> {
    const stored = (await this.db.get("meta", "vault")) as StoredVault | undefined;
    const vault = stored && (await Vault.open(stored, old));
    if (vault === undefined) return false;
    await this.db.put("meta", await vault.wrap(pin), "vault");
    return true;
  }

  /** From now on only this window writes. */
  async takeOver(): Promise<void> {
    const tx = this.db.transaction("meta", "readwrite");
    this.epoch = (((await tx.store.get("epoch")) as number | undefined) ?? 0) + 1;
    await tx.store.put(this.epoch, "epoch");
    await tx.done;
  }

  /** How often a wrong PIN was tried since the last right one. */
  async attempts(): Promise<number> {
    return ((await this.db.get("meta", "attempts")) as number | undefined) ?? 0;
  }

  async noteAttempts(count: number): Promise<void> {
    await this.db.put("meta", count, "attempts");
  }

  /** A sealed value of the app's own. */
  async get<T>(name: string): Promise<T | undefined> {
    const sealed = (await this.db.get("meta", `sealed:${name}`)) as Sealed | undefined;
    return sealed && (decode(await this.opened().open(sealed)) as T);
  }

  async put(name: string, value: unknown): Promise<void> {
    const sealed = await this.seal(value);
    await this.guarded(["meta"], async (tx) => {
      await tx.objectStore("meta").put(sealed, `sealed:${name}`);
    });
  }

  async contents(): Promise<Contents> {
    const documents: StoredDocument[] = [];
    const changes: StoredChange[] = [];
    for (const sealed of await this.db.getAll("documents")) documents.push(await this.unseal(sealed));
    for (const sealed of await this.db.getAll("changes")) changes.push(await this.unseal(sealed));
    return { cursor: await this.get<Uint8Array>("cursor"), documents, changes };
  }

  async receipts(): Promise<SignedReceipt[]> {
    const all = await this.db.getAll("receipts");
    return Promise.all(all.map((sealed) => this.unseal<SignedReceipt>(sealed)));
  }

  /** Writes one page, or one saved form: whole, or not at all. It is on the disk when this returns. */
  async write(writes: Writes): Promise<void> {
    const documents: [string, Sealed | undefined][] = [];
    const changes: [number, Sealed | undefined][] = [];
    // Everything is sealed first: a transaction ends when something else is waited for.
    for (const [key, document] of writes.documents) {
      documents.push([key, document && (await this.seal(document))]);
    }
    for (const [number, change] of writes.changes) changes.push([number, change && (await this.seal(change))]);
    const receipt = writes.receipt && (await this.seal(writes.receipt));
    const cursor = writes.cursor && (await this.seal(writes.cursor));
    await this.guarded(["meta", "documents", "changes", "receipts"], async (tx) => {
      for (const [key, sealed] of documents) {
        if (sealed === undefined) await tx.objectStore("documents").delete(key);
        else await tx.objectStore("documents").put(sealed, key);
      }
      for (const [number, sealed] of changes) {
        if (sealed === undefined) await tx.objectStore("changes").delete(number);
        else await tx.objectStore("changes").put(sealed, number);
      }
      if (receipt !== undefined) await tx.objectStore("receipts").add(receipt);
      if (cursor !== undefined) await tx.objectStore("meta").put(cursor, "sealed:cursor");
    });
  }

  async photo(hash: string): Promise<StoredPhoto | undefined> {
    const sealed = await this.db.get("photos", hash);
    return sealed && (await this.unseal<StoredPhoto>(sealed));
  }

  /** Photos that the server does not have yet. */
  async unsentPhotos(): Promise<StoredPhoto[]> {
    const photos: StoredPhoto[] = [];
    for (const key of await this.db.getAllKeys("photos")) {
      const photo = await this.photo(key);
      if (photo !== undefined && !photo.isSent) photos.push(photo);
    }
    return photos;
  }

  async putPhoto(photo: StoredPhoto): Promise<void> {
    const sealed = await this.seal(photo);
    await this.guarded(["meta", "photos"], async (tx) => {
      await tx.objectStore("photos").put(sealed, photo.hash);
    });
  }

  /** Keeps nothing at all. */
  async erase(): Promise<void> {
    this.vault = undefined;
    const stores = ["meta", "documents", "changes", "receipts", "photos"] as const;
    const tx = this.db.transaction(stores, "readwrite");
    for (const name of stores) await tx.objectStore(name).clear();
    await tx.done;
  }

  private async guarded(
    stores: StoreName[],
    write: (tx: ReturnType<typeof this.begin>) => Promise<void>,
  ): Promise<void> {
    const tx = this.begin(stores);
    try {
      if ((await tx.objectStore("meta").get("epoch")) !== this.epoch) throw new TakenOver();
      await write(tx);
      await tx.done;
    } catch (error) {
      if (error instanceof TakenOver) {
        tx.abort();
        await tx.done.catch(() => undefined);
        throw error;
      }
      throw error instanceof DOMException && error.name === "QuotaExceededError" ? new NoRoom(error.message) : error;
    }
  }

  private begin(stores: StoreName[]) {
    return this.db.transaction(stores, "readwrite", { durability: "strict" });
  }

  private opened(): Vault {
    if (this.vault === undefined) throw new Error("the vault is closed");
    return this.vault;
  }

  private async seal(value: unknown): Promise<Sealed> {
    return this.opened().seal(encode(clean(value)));
  }

  private async unseal<T>(sealed: Sealed): Promise<T> {
    return decode(await this.opened().open(sealed)) as T;
  }
}

/** CBOR has no `undefined` here: such fields are left out. */
function clean(value: unknown): unknown {
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(clean);
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries.map(([key, entry]) => [key, clean(entry)]));
}
