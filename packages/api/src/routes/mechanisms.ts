import type { FastifyInstance } from "fastify";
import type { Dependencies } from "../dependencies.ts";
import { MechanismListSchema } from "../schemas.ts";

/** Which mechanisms there are, for whoever shows or drives all of them. */
export async function mechanismRoutes(
  app: FastifyInstance,
  { mechanisms }: Dependencies,
): Promise<void> {
  app.get(
    "/mechanisms",
    {
      schema: {
        summary: "The mechanisms by which events decide",
        response: { 200: MechanismListSchema },
      },
    },
    async (_request, reply) => {
      const told = [...mechanisms.values()].map(({ facts, available }) => {
        const { name, version, title, summary, needs } = facts;
        return { name, version, title, summary, needs, available: available() };
      });
      return reply.send({ mechanisms: told });
    },
  );
}
