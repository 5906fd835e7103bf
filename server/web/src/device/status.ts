// How the device stands: what screens show of it.

export type Phase =
  | "starting"
  /** Neither encryption nor working offline is possible here. */
  | "insecure"
  /** The browser keeps nothing. */
  | "no-room"
  /** Nothing was chosen or enrolled here yet. */
  | "new"
  | "locked"
  /** A PIN was chosen, but no server has enrolled the device. */
  | "enrolling"
  | "open"
  | "elsewhere"
  | "erased";

export type Problem = "offline" | "unavailable" | "refused" | "protocol" | "forged" | "no-room";

export interface Status {
  phase: Phase;
  syncing: boolean;
  /** Documents taken in the exchange that is under way. */
  taken: number;
  unsent: number;
  /** Photos that the server does not have yet. */
  photos: number;
  /** Photos that the server does not take. */
  photosRefused: number;
  refused: number;
  /** Forms with something that was not saved. */
  drafts: number;
  /** Whether what stands in the open form could not be stored. */
  isDraftUnkept: boolean;
  conflicts: number;
  /** When the last exchange was done, by this clock. */
  syncedAt: number | undefined;
  /** When the server last confirmed changes, by its clock. */
  confirmedAt: number | undefined;
  clockAhead: number;
  problem: Problem | undefined;
  /** The server's words. */
  detail: string;
  /** Whether the browser has promised to keep what is stored. */
  isKept: boolean | undefined;
  /** Goes up whenever documents have changed: what is shown is read again. */
  version: number;
  /** Seconds until the next PIN may be tried. */
  wait: number;
}

export function atFirst(): Status {
  return {
    phase: "starting",
    syncing: false,
    taken: 0,
    unsent: 0,
    photos: 0,
    photosRefused: 0,
    refused: 0,
    drafts: 0,
    isDraftUnkept: false,
    conflicts: 0,
    syncedAt: undefined,
    confirmedAt: undefined,
    clockAhead: 0,
    problem: undefined,
    detail: "",
    isKept: undefined,
    version: 0,
    wait: 0,
  };
}
