// The only place that loads automerge: its wasm comes with the app, and is started once.

import * as Automerge from "@automerge/automerge/slim";

export type Handle = ReturnType<typeof Automerge.getBackend>;

/** Starts automerge: with the address of its wasm, or with the bytes. */
export async function startAutomerge(wasm: string | URL | Uint8Array): Promise<void> {
  await Automerge.initializeWasm(wasm as string);
}

/** An empty document, written to as this actor. */
export function emptyHandle(actor: string): Handle {
  return Automerge.getBackend(Automerge.init({ actor }));
}

export const decodeChange = Automerge.decodeChange;
