// Session tokens, minted by the libraries that the restaurant's application has them from.
import { encode as encodeAuthJs } from '@auth/core/jwt';
import { encode as encodeNextAuth } from 'next-auth/jwt';
import { serve } from './jsonlines.mjs';

serve({
  // NextAuth.js 4. The library adds `iat`, `exp` and `jti` to the claims.
  nextAuth: async ({ claims, secret, maxAge }) => ({
    token: await encodeNextAuth({ token: claims, secret, maxAge }),
  }),

  // Auth.js 5. `cookie` is the name of the session's cookie, which it takes as salt.
  authJs: async ({ claims, secret, cookie, maxAge }) => ({
    token: await encodeAuthJs({ token: claims, secret, salt: cookie, maxAge }),
  }),
});
