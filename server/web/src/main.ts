import "vant/lib/index.css";
import "./style.css";
import wasm from "@automerge/automerge/automerge.wasm?url";
import { createApp } from "vue";
import App from "./App.vue";
import { device } from "./device/device";
import { startAutomerge } from "./document/automerge";
import { invitation } from "./device/invitation";
import { router } from "./router";
import { choose, language } from "./text/words";

invitation.start(device.status);
choose(language.value);
await startAutomerge(wasm);
createApp(App).use(router).mount("#app");
await device.start();
