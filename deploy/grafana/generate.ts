// `npm run dashboards [FOLDER]`: writes the dashboards as Grafana reads them. They are committed, so
// that nothing has to be generated where they are only used; a test fails when they are stale.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { machineRoomDashboard } from "./dashboards/machine-room.ts";
import { proofDashboard } from "./dashboards/proof.ts";
import { saleDashboard } from "./dashboards/sale.ts";

const dashboards = {
  sale: saleDashboard(),
  "machine-room": machineRoomDashboard(),
  proof: proofDashboard(),
};

const folder = process.argv[2] ?? join(import.meta.dirname, "generated");
mkdirSync(folder, { recursive: true });
for (const [name, dashboard] of Object.entries(dashboards)) {
  const path = join(folder, `${name}.json`);
  writeFileSync(path, `${JSON.stringify(dashboard, null, 2)}\n`);
  console.log(path);
}
