// Started by forwarder tests in a network namespace. Reads one JSON command per line and answers with one JSON line; interfaces are
// named, not numbered. Ends without close() when its input ends: what is left open must not keep the process.
import { createInterface } from 'node:readline';
import { createForwarder, type Forwarder, type ForwarderOptions, listInterfaces, type RelayProgram } from '../index.ts';
import type { RelayDraft } from './forwarder-process.ts';

interface Command {
  readonly call: 'apply' | 'snapshot' | 'changes' | 'status' | 'losses' | 'close' | 'churn' | 'second';
  readonly replaceAll?: boolean;
  readonly upserts?: readonly RelayDraft[];
  readonly removed?: readonly string[];
  readonly changes?: number;
}

type Indexes = ReadonlyMap<string, number>;

/** Interface indexes of this moment. */
function readIndexes(): Indexes {
  return new Map(listInterfaces().map(({ name, index }) => [name, index]));
}

function program({ input, outputs, ...rest }: RelayDraft, indexes: Indexes): RelayProgram {
  const unknown = 9_999;
  return {
    port: null,
    sources: [],
    excludedSources: [],
    rateLimit: null,
    vlan: null,
    keepDuplicates: false,
    minTtl: null,
    ...rest,
    inputIfindex: indexes.get(input) ?? unknown,
    outputs: outputs.map(({ interface: name, ...output }) => ({
      key: `${output.address}@${name}`,
      port: null,
      ttl: null,
      source: null,
      dscp: null,
      sourcePort: null,
      dropOversize: false,
      ...output,
      // Nameless: known not to be there.
      ifindex: name === '' ? 0 : (indexes.get(name) ?? unknown),
    })),
  };
}

/** Adds, updates and removes relays beside those that are there, one change per call. */
async function churn(forwarder: Forwarder, changes: number, draft: RelayDraft): Promise<number> {
  const base = program(draft, readIndexes());
  let refused = 0;
  for (let i = 0; i < changes; i++) {
    const uid = `churn-${i % 40}`;
    const remove = i % 3 === 2;
    const relay = { ...base, uid, group: `239.200.${i % 7}.${i % 40}`, port: (i % 5) + 7_000 };
    const refusals = await forwarder.apply({
      replaceAll: false,
      upserts: remove ? [] : [relay],
      removedUids: remove ? [uid] : [],
    });
    refused += refusals.length;
  }
  return refused;
}

const forwarder = createForwarder(JSON.parse(process.argv[2] ?? '{}') as ForwarderOptions);
const others: Forwarder[] = [];

async function run(command: Command): Promise<unknown> {
  const indexes = readIndexes();
  const upserts = (command.upserts ?? []).map((draft) => program(draft, indexes));
  switch (command.call) {
    case 'apply':
      return forwarder.apply({ replaceAll: command.replaceAll ?? false, upserts, removedUids: command.removed ?? [] });
    case 'snapshot':
      return forwarder.snapshot(null);
    case 'changes':
      return forwarder.changes();
    case 'status':
      return forwarder.status();
    case 'losses':
      return forwarder.losses();
    case 'churn': {
      const [draft] = command.upserts ?? [];
      return draft ? churn(forwarder, command.changes ?? 0, draft) : null;
    }
    case 'second': {
      // Another packet path in the same process, with the same relays.
      const second = createForwarder({ ringBytes: 256 * 1024 });
      others.push(second);
      return second.apply({ replaceAll: true, upserts, removedUids: [] });
    }
    case 'close':
      await forwarder.close();
      return 'closed';
  }
}

process.stdout.write('"ready"\n');
for await (const line of createInterface(process.stdin)) {
  let answer: unknown;
  try {
    answer = await run(JSON.parse(line) as Command);
  } catch (error) {
    answer = { error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer, (_, part) => (typeof part === 'bigint' ? Number(part) : part))}\n`);
}
