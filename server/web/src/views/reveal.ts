import { nextTick } from "vue";

/** Goes to the first field with something wrong: what is said of it would stand behind the keyboard, or above what is seen. */
export async function revealFault(): Promise<void> {
  await nextTick();
  const field = document.querySelector(".van-field__error-message, .van-cell .fault")?.closest(".van-cell");
  field?.scrollIntoView({ block: "start" });
  field?.querySelector<HTMLElement>("input, textarea, select")?.focus({ preventScroll: true });
}
