import { ref } from "vue";
import { t } from "../text/words";

/** What is wrong with a PIN that somebody chooses; nothing, if it will do. */
function weakness(pin: string): string {
  if (!/^\d{6,32}$/.test(pin)) return t("pinShort");
  const steps = new Set(Array.from(pin.slice(1), (digit, at) => Number(digit) - Number(pin[at])));
  return steps.size === 1 && [-1, 0, 1].includes([...steps][0] ?? 9) ? t("pinWeak") : "";
}

/** A new PIN, typed twice, and what is wrong with it. */
export function newPin() {
  const [pin, again, pinFault, againFault] = [ref(""), ref(""), ref(""), ref("")];
  /** Looks at both; whether they will do. */
  function isFine(): boolean {
    pinFault.value = weakness(pin.value);
    againFault.value = pin.value === again.value ? "" : t("pinDiffers");
    return !pinFault.value && !againFault.value;
  }
  return { pin, again, pinFault, againFault, isFine };
}
