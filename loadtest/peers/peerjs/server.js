// The PeerJS server as it comes, with room for as many peers as the load needs.
//
//   node server.js [port]        prints "ready at http://127.0.0.1:PORT"

import { createServer } from "node:http";
import express from "express";
import { ExpressPeerServer } from "peer";

const app = express();
const http = createServer(app);
app.use("/peerjs", ExpressPeerServer(http, { path: "/", concurrent_limit: 20000 }));
http.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  console.log(`ready at http://127.0.0.1:${http.address().port}`);
});
