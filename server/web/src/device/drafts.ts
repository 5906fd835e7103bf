// What stands in an open form and was not saved. It is kept sealed while it is typed, so that a reload, a lock, an update or the
// end of the browser takes nothing away, and is offered again where it was typed.

import { type Database, NoRoom } from "../store/database";
import type { Status } from "./status";

/** The unsaved content of one form. */
export interface Draft {
  readonly id: string;
  /** The year; what earlier versions have kept is of the one that the device was enrolled for. */
  readonly period?: string;
  readonly unit: string;
  readonly ledger: string;
  /** The row, or `new`. */
  readonly row: string;
  /** The fields that were changed, as they stand there now, and what stood there. */
  readonly typed: Readonly<Record<string, string>>;
  readonly before: Readonly<Record<string, string>>;
  /** What the document was when the form was opened. */
  readonly seen: readonly string[];
  /** When it was last typed at, by this clock. */
  readonly time: number;
  /** The draft from which a person has carried this over to an existing record: it goes when this one is saved. */
  readonly origin?: string;
}

/** What keeping drafts needs of the device. */
interface Keeper {
  readonly status: Pick<Status, "drafts" | "isDraftUnkept" | "version">;
  opened(): Pick<Database, "get" | "put">;
}

const KEY = "drafts";
/** How long somebody pauses before it is written. */
const DELAY_MS = 300;
export const NEW = "new";

export class Drafts {
  /** The draft of the form that is open and has something unsaved. */
  open: string | undefined;
  private drafts = new Map<string, Draft>();
  private isLoaded = false;
  private isWritten = true;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private queue: Promise<void> = Promise.resolve();

  constructor(private readonly device: Keeper) {}

  async load(): Promise<void> {
    const stored = (await this.device.opened().get<Draft[]>(KEY)) ?? [];
    this.drafts = new Map(stored.map((draft) => [draft.id, draft]));
    this.isLoaded = true;
    this.isWritten = true;
    this.count();
  }

  /** The key is gone: nothing is in memory, and nothing is taken any more. */
  forget(): void {
    clearTimeout(this.timer);
    this.drafts = new Map();
    this.isLoaded = false;
    this.open = undefined;
    this.device.status.drafts = 0;
  }

  /** What waits for somebody, the newest first. What was carried over is seen where it is now. */
  all(): Draft[] {
    const carried = new Set([...this.drafts.values()].map((draft) => draft.origin));
    return [...this.drafts.values()].filter((draft) => !carried.has(draft.id)).sort((a, b) => b.time - a.time);
  }

  /** `first` is the year that the device was enrolled for. */
  of({ unit, period, first }: { unit: string; period: string; first: string }, ledger: string, row: string): Draft[] {
    const isOf = (draft: Draft) => (draft.period ?? first) === period && draft.unit === unit;
    return this.all().filter((draft) => isOf(draft) && draft.ledger === ledger && draft.row === row);
  }

  /** Takes what stands in a form now; it is on the disk a moment later. */
  keep(draft: Draft): void {
    if (!this.isLoaded) return;
    this.drafts.set(draft.id, draft);
    this.open = draft.id;
    this.changed();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.flush(), DELAY_MS);
  }

  /** Somebody has saved it, or does not want it: on the disk when this returns. */
  async drop(id: string, withOrigin = false): Promise<void> {
    const draft = this.drafts.get(id);
    if (!this.isLoaded || draft === undefined) return;
    this.drafts.delete(id);
    if (withOrigin && draft.origin !== undefined) this.drafts.delete(draft.origin);
    if (this.open === id) this.open = undefined;
    this.changed();
    await this.flush();
  }

  /** Writes what is not written yet; to be waited for before the key is dropped. Says what went wrong in the status. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.queue = this.queue.then(() => this.write());
    return this.queue;
  }

  private async write(): Promise<void> {
    if (this.isWritten || !this.isLoaded) return;
    this.isWritten = true;
    try {
      await this.device.opened().put(KEY, [...this.drafts.values()]);
      this.device.status.isDraftUnkept = false;
    } catch (error) {
      this.isWritten = false;
      // Another window writes by now, or the device was erased: that is said where it is found out.
      if (error instanceof NoRoom) this.device.status.isDraftUnkept = true;
    }
  }

  private changed(): void {
    this.isWritten = false;
    this.count();
  }

  private count(): void {
    this.device.status.drafts = this.all().length;
  }
}
