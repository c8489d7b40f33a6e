// The hooks in a page, for a test that drives it: the fragment says who and where.
import { drop } from './websockets';
import { createRoot } from 'react-dom/client';
import { setSession } from '../test/fakes/next-auth';
import { invalidationCount } from '../test/fakes/trpc';
import { KitchenDisplay } from '@/components/KitchenDisplay';
import { useTabRealtime } from '@/hooks/useTabRealtime';

const given = new URLSearchParams(location.hash.slice(1));
const get = (name: string) => given.get(name) ?? '';
const signIn = (accessToken: string) => setSession({ accessToken, user: { id: get('user') }, expires: '' });

let sounds = 0;
class Silent {
  currentTime = 0;
  constructor() {
    sounds += 1;
  }
  createOscillator = () => ({ frequency: { value: 0 }, connect() {}, start() {}, stop() {} });
}

Object.assign(window, {
  SOCKET_URL: get('url'),
  AudioContext: Silent,
  signIn,
  drop,
  sounds: () => sounds,
  invalidations: invalidationCount,
});

function Page() {
  useTabRealtime(get('tab'));
  return <KitchenDisplay venueId={get('venue')} />;
}

signIn(get('token'));
createRoot(document.getElementById('page')!).render(<Page />);
