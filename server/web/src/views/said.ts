// What the app says for a moment, and what it asks: shown by `Said.vue`, which is there once.

import { reactive } from "vue";

export interface Question {
  readonly title: string;
  readonly text: string;
  readonly yes: string;
  readonly no: string;
}

const SHOWN_MS = 4_000;

export const said = reactive<{ text: string; question: Question | undefined; answer: (yes: boolean) => void }>({
  text: "",
  question: undefined,
  answer: () => undefined,
});

let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string): void {
  said.text = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    said.text = "";
  }, SHOWN_MS);
}

export function ask(question: Question): Promise<boolean> {
  said.question = question;
  return new Promise((resolve) => {
    said.answer = (yes) => {
      said.question = undefined;
      resolve(yes);
    };
  });
}
