// What the hooks need of `next-auth/react`, versions 4 and 5, for the type check. The application
// has the real one, with `accessToken` put into the session by its callbacks.
export interface Session {
  accessToken?: string;
  user?: { id?: string; email?: string | null };
  expires: string;
}

export declare function useSession(): {
  data: Session | null;
  status: 'loading' | 'authenticated' | 'unauthenticated';
  update: (data?: unknown) => Promise<Session | null>;
};
