// Encryption of what is stored. The data key is random, and wrapped by a key that follows from the PIN and from a secret of this
// browser that it never gives out: neither the stored bytes nor the PIN alone open anything.

const ROUNDS = 310_000;
const IV_BYTES = 12;

/** What is stored of a vault. */
export interface StoredVault {
  readonly salt: Uint8Array;
  readonly rounds: number;
  /** Not to be taken out of the browser. */
  readonly secret: CryptoKey;
  readonly iv: Uint8Array;
  readonly wrapped: Uint8Array;
}

/** Ciphertext. */
export interface Sealed {
  readonly iv: Uint8Array;
  readonly data: Uint8Array;
}

type Bytes = Uint8Array<ArrayBuffer>;

function random(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

async function keyFrom(pin: string, salt: Uint8Array, rounds: number, secret: CryptoKey): Promise<CryptoKey> {
  const text = new TextEncoder().encode(pin);
  const material = await crypto.subtle.importKey("raw", text, "PBKDF2", false, ["deriveBits"]);
  const derivation = { name: "PBKDF2", hash: "SHA-256", salt: salt as Bytes, iterations: rounds };
  const bits = await crypto.subtle.deriveBits(derivation, material, 256);
  const mixed = await crypto.subtle.sign("HMAC", secret, bits);
  return crypto.subtle.importKey("raw", mixed, "AES-GCM", false, ["encrypt", "decrypt"]);
}

export class Vault {
  private constructor(private readonly key: CryptoKey) {}

  /** A new vault, closed by this PIN. */
  static async create(pin: string): Promise<{ vault: Vault; stored: StoredVault }> {
    const raw = random(32);
    const stored = await Vault.wrap(pin, raw);
    return { vault: await Vault.of(raw), stored };
  }

  /** Opens it; nothing, where the PIN is wrong. */
  static async open(stored: StoredVault, pin: string): Promise<Vault | undefined> {
    const raw = await Vault.unwrap(stored, pin);
    return raw && Vault.of(raw);
  }

  /** The same data under another PIN; nothing, where the old one is wrong. */
  static async rewrap(stored: StoredVault, old: string, pin: string): Promise<StoredVault | undefined> {
    const raw = await Vault.unwrap(stored, old);
    return raw && Vault.wrap(pin, raw);
  }

  private static async wrap(pin: string, raw: Bytes): Promise<StoredVault> {
    const [salt, iv] = [random(16), random(IV_BYTES)];
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const secret = (await crypto.subtle.generateKey(hmac, false, ["sign"])) as CryptoKey;
    const key = await keyFrom(pin, salt, ROUNDS, secret);
    const wrapped = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, raw));
    return { salt, rounds: ROUNDS, secret, iv, wrapped };
  }

  private static async unwrap(stored: StoredVault, pin: string): Promise<Bytes | undefined> {
    const key = await keyFrom(pin, stored.salt, stored.rounds, stored.secret);
    const algorithm = { name: "AES-GCM", iv: stored.iv as Bytes };
    try {
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, stored.wrapped as Bytes));
    } catch {
      return undefined;
    }
  }

  private static async of(raw: Bytes): Promise<Vault> {
    return new Vault(await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]));
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
