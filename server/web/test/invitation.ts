import assert from "node:assert/strict";
import { test } from "node:test";
import { reactive } from "vue";
import { invitation } from "../src/device/invitation";
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
