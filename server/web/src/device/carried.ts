// Bundles as codes: one's own on the screen, and those of others that are carried to the server. What is inside those nobody
// here can read; each is kept until its answer was shown to whom it belongs.

import type { Database } from "../store/database";
import { type BundleKind, CodeReader, CODES_BYTES_MAX, codesOf, type Reading } from "../sync/codes";
import { hex } from "../sync/frames";
import type { Status } from "./status";
import { NEVER, Refused, type Transport } from "./transport";

/** Somebody else's bundle. */
export interface Parcel {
  readonly id: string;
  readonly bytes: Uint8Array;
  /** When it was taken, by this clock. */
  readonly time: number;
  readonly answer?: Uint8Array;
  /** Why the server has not taken it, in its words. */
  readonly refusal?: string;
}

/** What carrying needs of the device. */
interface Carrier {
  readonly status: Status;
  opened(): Database;
  writeBundle(answerMax?: number): Promise<Uint8Array>;
}

const KEY = "carried";

export class Carried {
  private parcels: readonly Parcel[] = [];
  private queue: Promise<unknown> = Promise.resolve();

  constructor(private readonly device: Carrier) {}

  async load(): Promise<void> {
    this.parcels = (await this.device.opened().get<Parcel[]>(KEY)) ?? [];
  }

  forget(): void {
    this.parcels = [];
  }

  all(): readonly Parcel[] {
    return this.parcels;
  }

  /** This device's own bundle as codes. */
  async ownCodes(): Promise<string[] | undefined> {
    return codesOf("request", await this.device.writeBundle(CODES_BYTES_MAX));
  }

  /** The answer to somebody's bundle as codes, once it is there. */
  answerCodes({ answer }: Parcel): string[] | undefined {
    return answer && codesOf("answer", answer);
  }

  /** What reads codes, and puts them together. */
  reader(): { take(text: string): Reading | undefined } {
    return new CodeReader();
  }

  /** Keeps somebody's bundle: on the disk when this returns. */
  async take(bytes: Uint8Array): Promise<void> {
    const id = hex(bytes.slice(-8));
    await this.change((parcels) => {
      const isKnown = parcels.some((parcel) => parcel.id === id);
      return isKnown ? parcels : [...parcels, { id, bytes, time: Date.now() }];
    });
  }

  async drop(id: string): Promise<void> {
    await this.change((parcels) => parcels.filter((parcel) => parcel.id !== id));
  }

  /**
   * Hands over what waits. What the server refuses is kept, with its reason; what it cannot take now waits for the next time, and
   * stands in the way of nothing.
   */
  async send(transport: Transport): Promise<void> {
    for (const parcel of this.parcels.filter((known) => !isDone(known))) {
      let done: Parcel;
      try {
        done = { ...parcel, answer: await transport.carry(parcel.bytes) };
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (!NEVER.includes(error.status)) continue;
        done = { ...parcel, refusal: error.message };
      }
      await this.change((parcels) => parcels.map((known) => (known.id === parcel.id ? done : known)));
    }
  }

  /** One change after the other: each is on the disk before it is seen. */
  private change(of: (parcels: readonly Parcel[]) => readonly Parcel[]): Promise<void> {
    const turn = this.queue.then(async () => {
      const parcels = of(this.parcels);
      await this.device.opened().put(KEY, parcels);
      this.parcels = parcels;
      this.device.status.version += 1;
    });
    this.queue = turn.catch(() => undefined);
    return turn;
  }
}

function isDone(parcel: Parcel): boolean {
  return parcel.answer !== undefined || parcel.refusal !== undefined;
}

export type { BundleKind, Reading };
