import assert from "node:assert/strict";
import { test } from "node:test";
import { reactive } from "vue";
import { CODE_LENGTH, codeIn, invitation } from "../src/device/invitation";
import { atFirst, type Phase } from "../src/device/status";

const CODE = "FB6LQDAZETYKXZ5O";
const { code } = invitation;

test("a code that has opened the phone is not offered when it is locked", () => {
  const status = reactive(atFirst());
  invitation.forgetOpened(status);
  const goes = (...phases: Phase[]) => {
    for (const phase of phases) status.phase = phase;
    return code.value;
  };
  code.value = CODE;
  // With a new code for a phone that is there: it waits for the person, and so it does while they begin anew.
  assert.equal(goes("locked", "new", "enrolling"), CODE);
  assert.equal(goes("open"), "");
  // A link that was followed while the app was open.
  code.value = CODE;
  assert.equal(goes("locked"), "");
  code.value = CODE;
  assert.equal(goes("open", "locked"), "");
});

test("a code is the same however it was written down", () => {
  const written = [
    "FB6L QDAZ ETYK XZ5O",
    "FB6L-QDAZ-ETYK-XZ5O",
    "fb6lqdazetykxz5o\n",
    "ＦＢ６Ｌ　ＱＤＡＺ　ＥＴＹＫ　ＸＺ５Ｏ",
    "FB6L–QDAZ–ETYK–XZ5O。",
    "登记码：FB6L QDAZ ETYK XZ5O",
    "https://taizhang.example/#enrol=FB6LQDAZETYKXZ5O",
    "https://taizhang.example:8443/#/enrol=FB6L%20QDAZ%20ETYK%20XZ5O 请在手机上打开",
  ];
  for (const text of written) assert.equal(codeIn(text), CODE, text);
  assert.equal(CODE.length, CODE_LENGTH);
  assert.equal(codeIn("FB6LQ"), "FB6LQ");
  // What is no escape stays what it is.
  assert.equal(codeIn("100%FB6L"), "100FB6L");
  assert.equal(invitation.read("https://taizhang.example/#enrol=fb6l-qdaz-etyk-xz5o"), true);
  assert.equal(code.value, CODE);
  assert.equal(invitation.read("https://taizhang.example/#/sync"), false);
});
