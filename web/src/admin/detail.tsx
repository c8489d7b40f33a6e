import type { ComponentChildren } from 'preact';
import type { Actor, Member, Room, Session } from './api';
import { api } from './api';
import { Confirmed } from './confirm';
import { bytes, count, duration, time, us } from './format';
import { open } from './route';
import { usePolled } from './use-polled';
import { EventList } from './way';

function Facts({ facts }: { facts: [string, ComponentChildren][] }) {
  return (
    <dl>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function vitals(actor: Actor): [string, ComponentChildren][] {
  return [
    ['State', actor.state],
    ['Up', duration(actor.uptimeMs)],
    ['Mailbox', `${count(actor.mailbox.depth)} waiting, ${count(actor.mailbox.high)} at most`],
    ['Handled', `${count(actor.handled)}, ${us(actor.handlingUs.p50)} / ${us(actor.handlingUs.p99)}`],
    ['Restarts', <span class={actor.restarts > 0 ? 'bad' : undefined}>{actor.restarts}</span>],
    ...(actor.lastFailure ? ([['Last failure', <span class="bad">{actor.lastFailure}</span>]] as [string, ComponentChildren][]) : []),
  ];
}

function Missing({ what, fault }: { what: string; fault: Error | undefined }) {
  return <p class="faint">{fault ? `${what} is not here any more, or the instance does not answer.` : 'Asking …'}</p>;
}

export function RoomView({ name }: { name: string }) {
  const { answer: room, fault } = usePolled(() => api.room(name), 2_000, [name]);
  if (!room || room.name !== name || fault) return <Missing what="The room" fault={fault} />;
  return (
    <>
      <Facts facts={[...vitals(room.actor), ['Newest event', room.offset ?? 'none yet'], ['Members', count(room.memberCount)]]} />
      <Confirmed
        label="Restart"
        question={`Start ${name} again? It learns anew who is in it; nothing that it has accepted is lost.`}
        act={() => api.restart(name)}
      />
      <h3>Newest events</h3>
      <EventList events={room.newest} />
      <h3>Members</h3>
      <Members room={room} />
    </>
  );
}

function Members({ room }: { room: Room }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Session</th>
            <th>In since</th>
            <th>Has</th>
            <th>Lag</th>
            <th>Not taken</th>
          </tr>
        </thead>
        <tbody>
          {room.members.map((member: Member) => (
            <tr key={member.id} data-state={member.flow}>
              <td class="name">
                <a href={open('session', member.id)}>{member.id}</a> <span class="faint">{member.who}</span>
                {member.flow !== 'live' && <span class="state">{member.flow}</span>}
              </td>
              <td>{time(member.since)}</td>
              <td>{member.offset ?? '–'}</td>
              <td class={member.lag > 0 ? 'warn' : 'figure'}>{count(member.lag)}</td>
              <td class="figure">{bytes(member.bytes.waiting)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function roles({ identity }: Session): string {
  if (!identity) return 'does not answer at the moment';
  const staff = identity.staff?.map(({ venueId, role }) => `${role} of ${venueId}`) ?? [];
  return [`${identity.kind} ${identity.id}`, ...staff].join(', ');
}

export function SessionView({ id }: { id: string }) {
  const { answer: session, fault } = usePolled(() => api.session(id), 2_000, [id]);
  if (!session || session.id !== id || fault) return <Missing what="The session" fault={fault} />;
  const { lastError, bytes: traffic } = session;
  return (
    <>
      <Facts
        facts={[
          ['Identity', roles(session)],
          ['Token ends', session.tokenExpiresAt ? new Date(session.tokenExpiresAt).toLocaleString() : 'never'],
          ['Transport', `${session.transport ?? 'gone'}, from ${session.address ?? 'somewhere'}`],
          ['Connected', `${time(session.connectedAt)}${session.recovered ? ', came back' : ''}`],
          ['Bytes', `${bytes(traffic.sent)} sent, ${bytes(traffic.received)} received, ${bytes(traffic.waiting)} not taken`],
          ['Lag', <span class={session.lag > 0 ? 'warn' : undefined}>{count(session.lag)}</span>],
          ['Last error', lastError ? `${time(lastError.at)} ${lastError.event}: ${lastError.code}, ${lastError.message}` : 'none'],
          ...vitals(session.actor),
        ]}
      />
      <Confirmed
        label="Disconnect"
        question={`Disconnect ${session.who}? Its client stays away until its user connects again.`}
        act={() => api.disconnect(id)}
      />
      <h3>Rooms</h3>
      <ul>
        {session.rooms.map((room) => (
          <li key={room.name}>
            <a href={open('room', room.name)}>{room.name}</a>{' '}
            <span class="faint">
              since {time(room.since)}, events after {room.from ?? '–'}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}
