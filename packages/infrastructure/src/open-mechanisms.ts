import type { CouponIssuer, MechanismFacts } from "@stampede/domain";
import { engineOffIssuer, engineOffPreparation } from "./engine-off.ts";
import type { Foundation } from "./foundation.ts";
import type { MechanismDescription, OpenMechanism } from "./mechanism.ts";
import { mechanisms } from "./mechanisms.ts";

export type ServedMechanism = OpenMechanism & { readonly facts: MechanismFacts };

/** Opens all mechanisms, in the order of the list; a stand-in for one whose engine is off. */
export async function openMechanisms(
  foundation: Foundation,
): Promise<ReadonlyMap<string, ServedMechanism>> {
  const served = new Map<string, ServedMechanism>();
  for (const description of mechanisms) {
    const { name } = description;
    served.set(name, { facts: description, ...(await openOne(description, foundation)) });
  }
  return served;
}

async function openOne(
  description: MechanismDescription,
  foundation: Foundation,
): Promise<OpenMechanism> {
  const engines = foundation.engines();
  const { statusWithoutEngine } = description;
  const off = description.needs.find((engine) => engines[engine] === "off");
  if (off === undefined) return description.open(foundation);
  const issuer: CouponIssuer = {
    ...engineOffIssuer(off, foundation.directory),
    ...(statusWithoutEngine === undefined ? {} : { status: statusWithoutEngine(foundation) }),
  };
  const preparation = engineOffPreparation(off);
  return {
    issuer,
    preparation,
    available: () => false,
    measures: [],
    resources: {},
    lines: () => [],
  };
}
