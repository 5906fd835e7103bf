// node tls.mjs URL CERTIFICATE → JSON: what a client that knows the certificate gets, and why one that does not gets nothing.
import { readFileSync } from "node:fs";
import { request } from "node:https";

const [url, path] = process.argv.slice(2);
const ask = (options) =>
  new Promise((resolve, reject) => {
    const asked = request(`${url}api/status`, { agent: false, ...options }, (response) => {
      const fingerprint = response.socket.getPeerCertificate().fingerprint256;
      response.resume();
      response.on("end", () => resolve({ response, fingerprint }));
    });
    asked.on("error", reject);
    asked.end();
  });
const { response, fingerprint } = await ask({ ca: readFileSync(path) });
const stranger = await ask({}).then(
  () => "",
  (error) => error.code,
);
console.log(
  JSON.stringify({
    status: response.statusCode,
    hsts: response.headers["strict-transport-security"],
    fingerprint,
    stranger,
  }),
);
