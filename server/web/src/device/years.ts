// The year that is shown and filled in: a device holds the documents of all of them.

import type { Device } from "./device";

const KEY = "year";

export class Years {
  private chosen: string | undefined;

  constructor(private readonly device: Device) {}

  async load(): Promise<void> {
    this.chosen = await this.device.opened().get<string>(KEY);
  }

  /** What somebody has chosen, or else what the county means. */
  get shown(): string {
    const known = this.device.catalogue.years();
    const chosen = known.find(({ period }) => period === this.chosen);
    return (chosen ?? known.find((year) => year.is_default))?.period ?? this.device.me.period;
  }

  async choose(period: string): Promise<void> {
    this.chosen = period;
    this.device.status.version += 1;
    await this.device.opened().put(KEY, period);
  }
}
