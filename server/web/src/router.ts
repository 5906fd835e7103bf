import { createRouter, createWebHashHistory } from "vue-router";
import Conflicts from "./views/Conflicts.vue";
import Form from "./views/Form.vue";
import Ledgers from "./views/Ledgers.vue";
import Rows from "./views/Rows.vue";
import Sync from "./views/Sync.vue";
import Tasks from "./views/Tasks.vue";
import Units from "./views/Units.vue";

export const router = createRouter({
  history: createWebHashHistory(),
  // A screen begins at its top, where it says what waits there, or at what the link is of; on the way back it is where it was left.
  scrollBehavior: (to, _from, left) => left ?? (to.hash === "" ? { top: 0 } : { el: to.hash, top: 64 }),
  routes: [
    { path: "/", component: Units },
    { path: "/units/:unit", component: Ledgers, props: true },
    { path: "/units/:unit/:ledger", component: Rows, props: true },
    { path: "/units/:unit/:ledger/:row", component: Form, props: true },
    { path: "/tasks", component: Tasks },
    { path: "/conflicts", component: Conflicts },
    { path: "/sync", component: Sync },
    // Their libraries are only loaded where they are needed.
    { path: "/codes/:id", component: () => import("./views/Codes.vue"), props: true },
    { path: "/scan", component: () => import("./views/Scan.vue") },
    { path: "/:rest(.*)", redirect: "/" },
  ],
});
