// The code of an invitation, as the link of the QR code carries it: `/#enrol=CODE`.

import { ref } from "vue";

const code = ref("");

/** Takes the code out of an address; `false` where there is none in it. */
function read(address: string): boolean {
  // The router has put a slash in front of it where the app was opened by the link.
  const found = /#\/?enrol=(.+)$/.exec(address)?.[1];
  if (found !== undefined) code.value = decodeURIComponent(found);
  return found !== undefined;
}

export const invitation = {
  code,
  read,
  /** Takes the code out of the address, so that it is in no history; also of one that comes while the app is open. */
  start(): void {
    addEventListener("hashchange", (event) => void read(event.newURL));
    read(location.href);
    if (code.value !== "") history.replaceState(null, "", "/");
  },
};
