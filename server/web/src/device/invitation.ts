// The code of an invitation, as the link of the QR code carries it: `/#enrol=CODE`.

import { ref, watch } from "vue";
import type { Status } from "./status";

/** Characters of a code. */
export const CODE_LENGTH = 16;

const code = ref("");

/** What somebody gave as a code, as the server knows it: typed in groups or in small letters, or the whole link. */
export function codeIn(text: string): string {
  // The router has put a slash in front of it where the app was opened by the link.
  const given = /#\/?enrol=([^&\s]+)/i.exec(text)?.[1] ?? text;
  return unescaped(given).normalize("NFKC").toUpperCase().replace(/[^A-Z0-9]/g, "");
}

/** Takes the code out of an address; `false` where there is none in it. */
function read(address: string): boolean {
  const isInvitation = /#\/?enrol=./i.test(address);
  if (isInvitation) code.value = codeIn(address);
  return isInvitation;
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A code opens once: what is open has used it, or has no use for it. Whoever locks comes back to the PIN. */
function forgetOpened(status: Pick<Status, "phase">): void {
  watch(
    () => status.phase,
    (phase, before) => {
      if (phase === "open" || before === "open") code.value = "";
    },
    { flush: "sync" },
  );
}

export const invitation = {
  code,
  read,
  forgetOpened,
  /** Takes the code out of the address, so that it is in no history; also of one that comes while the app is open. */
  start(status: Pick<Status, "phase">): void {
    forgetOpened(status);
    addEventListener("hashchange", (event) => void read(event.newURL));
    read(location.href);
    if (code.value !== "") history.replaceState(null, "", "/");
  },
};
