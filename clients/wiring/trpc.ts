// The application's `@/lib/trpc/react` as far as the hooks need it, with tRPC's own types.
import { createTRPCReact } from '@trpc/react-query';
import { initTRPC } from '@trpc/server';

const t = initTRPC.create();
const router = t.router({
  tab: t.router({
    getByAccessToken: t.procedure.query(() => ({ tab: { subtotalCents: 0, taxCents: 0, totalCents: 0 } })),
  }),
});

export const api = createTRPCReact<typeof router>();
