import { CODE_LENGTH, codeIn } from "../device/invitation";
import { Offline, Refused } from "../device/transport";
import { t } from "../text/words";

/** What is wrong with a one-time code before anybody is asked; nothing, if it may be one. */
export function codeFault(text: string): string {
  const { length } = codeIn(text);
  return length === CODE_LENGTH ? "" : t("codeLength", CODE_LENGTH, length);
}

/** Why a one-time code was not taken. */
export function refusal(error: unknown): string {
  if (error instanceof Offline) return t("enrolOffline");
  if (error instanceof Refused && error.status === 404) return t("enrolUnknown");
  return error instanceof Error ? error.message : String(error);
}
