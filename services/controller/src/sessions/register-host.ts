import type { Clock } from '@mcfleet/common/clock';
import { FleetError } from '@mcfleet/common/error';
import type { Logger } from '@mcfleet/common/log';
import { HOST_ID_PATTERN, hostName } from '@mcfleet/common/names';
import { quote } from '@mcfleet/common/quote';
import { uuidv7 } from '@mcfleet/common/uuid';
import type { Hello } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { Host, HostStatus } from '@mcfleet/proto/mcfleet/v1/host';
import { refusal } from '../errors.ts';
import { etagOf } from '../store/etag.ts';
import type { FleetStore } from '../store/store.ts';
import { validateLabels } from '../validate/metadata.ts';
import { Violations } from '../validate/violations.ts';

/** The protocol version that this controller speaks. */
const PROTOCOL = 1;

/** @throws FleetError HELLO_INVALID, PROTOCOL_UNSUPPORTED or STALE_CONTROLLER if no session can be had with this agent */
export function validateHello(hello: Hello, store: FleetStore): void {
  const violations = new Violations();
  if (!HOST_ID_PATTERN.test(hello.host)) {
    violations.add(
      'hello.host',
      `${quote(hello.host)} is not the name of a host: lower-case letters, digits, "-" and "."`,
    );
  }
  validateLabels(hello.labels, 'hello.labels', violations);
  if (violations.all.length > 0) {
    const told = violations.all.map(({ field, description }) => `${field}: ${description}`).join('; ');
    throw refusal('HELLO_INVALID', `the agent cannot be taken in: ${told}`, { violations: violations.all });
  }
  if (hello.protocolMin > PROTOCOL || hello.protocolMax < PROTOCOL) {
    const message = `the agent speaks protocol ${hello.protocolMin} to ${hello.protocolMax}, this controller ${PROTOCOL}: upgrade the older of the two`;
    throw refusal('PROTOCOL_UNSUPPORTED', message);
  }
  if (hello.clusterUid === store.clusterUid && hello.highestTerm > store.term) {
    const message = `the agent has accepted term ${hello.highestTerm} of this cluster, and this controller has term ${store.term}: it runs on an old copy of the store`;
    throw refusal('STALE_CONTROLLER', message);
  }
  if (hello.clusterUid === store.clusterUid && hello.appliedRevision > store.revision) {
    const message =
      `the host has carried out revision ${hello.appliedRevision} of this cluster, and the store ends at ${store.revision}: writes ` +
      'were lost with a damaged store.db-wal, or this is a copy from before. The host goes on with what it holds. Stop the ' +
      'controller and restore a newer copy, or start it with --restored, so that hosts take what this store says';
    throw refusal('STALE_CONTROLLER', message);
  }
}

/**
 * Makes the host known if it is not, and keeps the labels that its agent was started with. If the store cannot write, a host that
 * is known already gets its session all the same, with the labels of before.
 *
 * @throws FleetError of the store if the host is not known and cannot be stored
 */
export async function registerHost(hello: Hello, store: FleetStore, clock: Clock, log: Logger): Promise<void> {
  const known = store.tables.host.get(hello.host);
  if (known !== undefined && sameLabels(known.status?.agentLabels ?? {}, hello.labels)) return;
  try {
    await store.write((transaction) => {
      const now = new Date(clock.now());
      const { revision } = transaction;
      const before = transaction.hosts.get(hello.host);
      const uid = before?.uid ?? uuidv7(clock);
      transaction.put('host', hello.host, {
        ...(before ?? Host.fromPartial({ name: hostName(hello.host), uid, createTime: now })),
        updateTime: now,
        revision,
        etag: etagOf(uid, revision),
        status: { ...HostStatus.fromPartial({}), agentLabels: hello.labels },
      });
    });
    if (known === undefined) log.info({ host: hello.host }, 'host registered');
  } catch (thrown) {
    if (known === undefined) throw thrown;
    const { reason } = FleetError.from(thrown);
    log.warn({ host: hello.host, reason }, 'labels of the agent could not be stored; those of before count');
  }
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
