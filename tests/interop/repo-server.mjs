// The official sync server: automerge-repo with its WebSocket and its folder adapter, as its maintainers run it.
// node repo-server.mjs FOLDER → prints its port
import { WebSocketServer } from "ws";
import { Repo } from "@automerge/automerge-repo";
import { WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";

const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
new Repo({
  network: [new WebSocketServerAdapter(server)],
  storage: new NodeFSStorageAdapter(process.argv[2]),
  peerId: `storage-server-${process.pid}`,
  sharePolicy: async () => false,
});
server.on("listening", () => console.log(server.address().port));
