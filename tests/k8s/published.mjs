// Reads objects as JSON from standard input; writes what the operators own published schemas say of each, "" for nothing.
import { readFileSync } from "node:fs";
const homes = {
  "gateway.networking.k8s.io/v1": "@kubernetes-models/gateway-api",
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator",
  "external-secrets.io/v1": "@kubernetes-models/external-secrets",
};
const said = [];
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const models = await import(`${homes[object.apiVersion]}/${object.apiVersion}`);
  try {
    new models[object.kind](object).validate();
    said.push("");
  } catch (error) {
    said.push(error.message || String(error));
  }
}
console.log(JSON.stringify(said));
