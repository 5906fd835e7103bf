import { NoRoom } from "../device/device";
import { CODE_LENGTH, codeIn } from "../device/invitation";
import { Offline, Refused } from "../device/transport";
import { said, t } from "../text/words";

/** What is wrong with a one-time code before anybody is asked; nothing, if it may be one. */
export function codeFault(text: string): string {
  const { length } = codeIn(text);
  return length === CODE_LENGTH ? "" : t("codeLength", CODE_LENGTH, length);
}

/** Why a one-time code was not taken. */
export function refusal(error: unknown): string {
  if (error instanceof Offline) return t("enrolOffline");
  if (error instanceof Refused && error.status === 403) return t("codeRevoked");
  if (error instanceof Refused && error.status === 404) return t("enrolUnknown");
  return wordsOf(error);
}

/** What went wrong, in the chosen language. */
export function wordsOf(error: unknown): string {
  if (error instanceof NoRoom) return t("problem_no-room");
  // Whatever has no words for a person is still told to whoever looks for the cause.
  console.warn(error);
  return said(error instanceof Error ? error.message : String(error));
}
