// Encryption of what is stored. The data key is random, and wrapped by a key that follows from the PIN. Whoever has a copy of the
// browser's files can try PINs elsewhere, whatever the browser says of keys that cannot be taken out of it: so each try takes 64 MiB
// and the time that goes with them.

import { argon2id } from "hash-wasm";

/** With that much memory, a fifth of a second on an office computer and a second on an old phone. */
const ROUNDS = 1;
const MEMORY_KIB = 64 * 1024;
/** For a phone that does not have that much. */
const MEMORY_KIB_MIN = 16 * 1024;
const IV_BYTES = 12;

/** What is stored of a vault. */
export interface StoredVault {
  readonly salt: Uint8Array;
  readonly rounds: number;
  /** Of Argon2id; earlier versions used PBKDF2, which takes none. */
  readonly memory?: number;
  /** What earlier versions mixed in. */
  readonly secret?: CryptoKey;
  readonly iv: Uint8Array;
  readonly wrapped: Uint8Array;
}

/** Ciphertext. */
export interface Sealed {
  readonly iv: Uint8Array;
  readonly data: Uint8Array;
}

type Bytes = Uint8Array<ArrayBuffer>;
type Derivation = Pick<StoredVault, "salt" | "rounds" | "memory" | "secret">;

function random(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

async function keyFrom(pin: string, derivation: Derivation): Promise<CryptoKey> {
  const bits = await (derivation.memory === undefined ? earlierBits(pin, derivation) : bitsFrom(pin, derivation, derivation.memory));
  return crypto.subtle.importKey("raw", bits as Bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

function bitsFrom(pin: string, { salt, rounds }: Derivation, memory: number): Promise<Uint8Array> {
  return argon2id({
    password: pin,
    salt,
    iterations: rounds,
    memorySize: memory,
    parallelism: 1,
    hashLength: 32,
    outputType: "binary",
  });
}

async function earlierBits(pin: string, { salt, rounds, secret }: Derivation): Promise<Uint8Array> {
  const material = await crypto.subtle.importKey("raw", new TextEncoder().encode(pin), "PBKDF2", false, ["deriveBits"]);
  const derivation = { name: "PBKDF2", hash: "SHA-256", salt: salt as Bytes, iterations: rounds };
  const bits = await crypto.subtle.deriveBits(derivation, material, 256);
  return new Uint8Array(secret === undefined ? bits : await crypto.subtle.sign("HMAC", secret, bits));
}

export class Vault {
  private constructor(
    private readonly key: CryptoKey,
    /** The data key itself, to wrap it anew. */
    readonly raw: Uint8Array,
  ) {}

  /** A new vault, closed by this PIN. */
  static async create(pin: string): Promise<{ vault: Vault; stored: StoredVault }> {
    const vault = await Vault.of(random(32));
    return { vault, stored: await vault.wrap(pin) };
  }

  /** Opens it; nothing, where the PIN is wrong. */
  static async open(stored: StoredVault, pin: string): Promise<Vault | undefined> {
    const key = await keyFrom(pin, stored);
    const algorithm = { name: "AES-GCM", iv: stored.iv as Bytes };
    try {
      return await Vault.of(new Uint8Array(await crypto.subtle.decrypt(algorithm, key, stored.wrapped as Bytes)));
    } catch {
      return undefined;
    }
  }

  /** The vault that this key opens. */
  static async of(raw: Uint8Array): Promise<Vault> {
    return new Vault(await crypto.subtle.importKey("raw", raw as Bytes, "AES-GCM", false, ["encrypt", "decrypt"]), raw);
  }

  /** The same data under another PIN. */
  async wrap(pin: string): Promise<StoredVault> {
    try {
      return await this.wrapIn(pin, MEMORY_KIB);
    } catch {
      return this.wrapIn(pin, MEMORY_KIB_MIN);
    }
  }

  private async wrapIn(pin: string, memory: number): Promise<StoredVault> {
    const derivation = { salt: random(16), rounds: ROUNDS, memory };
    const [iv, key] = [random(IV_BYTES), await keyFrom(pin, derivation)];
    const wrapped = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, this.raw as Bytes));
    return { ...derivation, iv, wrapped };
  }

  async seal(plain: Uint8Array): Promise<Sealed> {
    const iv = random(IV_BYTES);
    const data = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, this.key, plain as Bytes);
    return { iv, data: new Uint8Array(data) };
  }

  async open(sealed: Sealed): Promise<Uint8Array> {
    const algorithm = { name: "AES-GCM", iv: sealed.iv as Bytes };
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, this.key, sealed.data as Bytes));
  }
}
