// Units and catalogue: the register that everything else is read by.

import { Catalogue, type CatalogueData } from "../catalogue/catalogue";
import type { Device } from "./device";
import { Refused, type Transport } from "./transport";

/** Takes them where they are others by now; `false` where the server does not give them. */
export async function refresh(device: Device, transport: Transport): Promise<boolean> {
  const database = device.opened();
  const tag = await database.get<string>("catalogue-tag");
  try {
    const catalogue = await transport.catalogue(tag);
    if (catalogue !== undefined) {
      device.catalogue = new Catalogue(catalogue.data as CatalogueData);
      await database.put("catalogue", catalogue.data);
      await database.put("catalogue-tag", catalogue.tag);
    }
    const units = await transport.units();
    if (JSON.stringify(units) !== JSON.stringify(device.units)) {
      device.units = units;
      await database.put("units", units);
    }
    device.status.version += 1;
    return true;
  } catch (error) {
    // A revoked device is told nothing any more; what it has to hand over, and to forget, comes with the exchange.
    if (error instanceof Refused) return false;
    throw error;
  }
}
