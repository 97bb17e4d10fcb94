/** A valid document, line by line, and what can be made wrong in it. */
export interface Faultable {
  /** The lines of the n-th such document by names for them; no two documents have a name or an input in common. */
  lines(n: number): Readonly<Record<string, string>>;
  readonly faults: readonly Fault[];
}

/** Exactly one thing wrong. */
export interface Fault {
  /** The line in whose place, or behind which, the fault stands. */
  readonly line: string;
  /** The wrong line; % stands for the number of the document. */
  readonly text: string;
  readonly isAdded: boolean;
  /** The path that is told, in the keys of documents; none of what the parser does not know. */
  readonly path: string;
  /** More lines that go, or that must stay as they are for this to be the one fault. */
  readonly gone: readonly string[];
  readonly needs: readonly string[];
}

type Details = Partial<Pick<Fault, 'gone' | 'needs'>>;

function instead(line: string, path: string, text: string, details: Details = {}): Fault {
  return { line, text, path, isAdded: false, gone: [], needs: [], ...details };
}

/** Several wrong values of one key; of a list's item, if the key is empty. */
function values(line: string, path: string, start: string, ...wrong: string[]): Fault[] {
  return wrong.map((value) => instead(line, path, `${start} ${value}`));
}

function behind(line: string, path: string, text: string): Fault {
  return { ...instead(line, path, text), isAdded: true };
}

const document = [
  ...values('apiVersion', 'apiVersion', 'apiVersion:', 'mcfleet/v2', '1', '[mcfleet/v1]'),
  instead('apiVersion', 'apiVresion', 'apiVresion: mcfleet/v1'),
  ...values('kind', 'kind', 'kind:', 'Rely', '5', "''"),
  behind('kind', 'zebra', 'zebra: {stripes: 7}'),
  behind('kind', 'kind', 'kind: Relay'),
  ...values('name', 'metadata.name', '  name:', '5', "''", 'Camera-%', 'a/%'),
  instead('name', 'metadata.nmae', '  nmae: camera'),
  ...values('edge', 'spec.hosts.names[0]', '      -', '5', 'nobody', 'hosts/edge-1', "''", '[edge-1]'),
];

/** A relay with every key, and outputs which a mistake could take for the input itself, or for one another. */
export const userspace: Faultable = {
  lines: (n) => ({
    apiVersion: 'apiVersion: mcfleet/v1',
    kind: 'kind: Relay',
    metadata: 'metadata:',
    name: `  name: camera-${n}`,
    displayName: '  displayName: the camera',
    labels: '  labels:',
    site: '    site: studio-2',
    rack: '    mcfleet.io/rack: r7',
    annotations: '  annotations:',
    note: '    note: by the door',
    spec: 'spec:',
    hosts: '  hosts:',
    names: '    names:',
    edge: '      - edge-1',
    matchLabels: '    matchLabels:',
    role: '      role: edge',
    engine: '  engine: USERSPACE',
    input: '  input:',
    interface: '    interface: eth0',
    group: `    group: 239.1.1.${n}`,
    port: '    port: 5001',
    sources: '    sources:',
    source: '      - 10.99.99.99',
    otherSource: '      - 10.99.99.98',
    outputs: '  outputs:',
    fullInterface: '    - interface: eth1',
    fullAddress: '      address: 239.10.10.10',
    fullPort: '      port: 6001',
    fullTtl: '      ttl: 16',
    fullSource: '      source: INTERFACE',
    fullDscp: '      dscp: 46',
    fullSourcePort: '      sourcePort: 9',
    fullOversize: '      oversize: DROP',
    nearInterface: '    - interface: eth0',
    nearAddress: `      address: 239.1.1.${n}`,
    nearPort: '      port: 5002',
    bareInterface: '    - interface: eth2',
    twinInterface: '    - interface: eth2',
    twinAddress: `      address: 239.1.1.${n}`,
    twinPort: '      port: 5002',
    rateLimit: '  rateLimit:',
    packets: '    packetsPerSecond: 1000',
    loopProtection: '  loopProtection:',
    keepDuplicates: '    keepDuplicates: true',
    minTtl: '    minTtl: 3',
    allowPtp: '  allowPtp: false',
  }),
  faults: [
    ...document,
    ...values('displayName', 'metadata.displayName', '  displayName:', '[camera]', '7', 'x'.repeat(257)),
    ...values('site', 'metadata.labels.site', '    site:', '5', 'two words', '{a: b}', '-x'),
    instead('site', 'metadata.labels.two words', '    two words: x'),
    ...values('rack', 'metadata.labels.mcfleet.io/rack', '    mcfleet.io/rack:', 'true', '"-"'),
    behind('site', 'metadata.labels.site', '    site: studio-3'),
    ...values('note', 'metadata.annotations.note', '    note:', '5', '[by, the, door]'),
    instead('labels', 'metadata.labels', '  labels: studio-2', { gone: ['site', 'rack'] }),
    instead('metadata', 'metadata', 'metadata: camera-7', {
      gone: ['name', 'displayName', 'labels', 'site', 'rack', 'annotations', 'note'],
    }),
    instead('hosts', 'spec.hosts', '  hosts: edge-1', { gone: ['names', 'edge', 'matchLabels', 'role'] }),
    instead('hosts', 'spec.hosts.node', '  hosts: {node: edge-1}', { gone: ['names', 'edge', 'matchLabels', 'role'] }),
    instead('hosts', 'spec.hosts', '  hosts: {}', { gone: ['names', 'edge', 'matchLabels', 'role'] }),
    instead('names', 'spec.hosts.names', '    names: edge-1', { gone: ['edge'] }),
    behind('edge', 'spec.hosts.names[1]', '      - edge-1'),
    ...values('role', 'spec.hosts.matchLabels.role', '      role:', '5', 'edge!'),
    ...values('engine', 'spec.engine', '  engine:', 'KERNAL', 'fast', '1'),
    instead('engine', 'spec.engin', '  engin: USERSPACE'),
    behind('engine', 'spec.zebra', '  zebra: 1'),
    instead('input', 'spec.input', '  input: eth0', {
      gone: ['interface', 'group', 'port', 'sources', 'source', 'otherSource'],
    }),
    ...values('interface', 'spec.input.interface', '    interface:', '0', 'a/b', 'eth0123456789abc', "''"),
    ...values('group', 'spec.input.group', '    group:', '239.1', '300.1.1.1', '240.0.0.1', '127.0.0.1'),
    instead('group', 'spec.input.group', '    group: 224.0.1.129', { needs: ['allowPtp'] }),
    instead('group', 'spec.input.gruop', '    gruop: 239.1.1.1'),
    ...values('port', 'spec.input.port', '    port:', '0', '70000', '"5001"', 'x', '[5001]'),
    instead('port', '', '    port: !secret 5001'),
    instead('port', 'spec.input.prot', '    prot: 5001'),
    instead('port', 'spec.input.dst', '    dst: 5001'),
    behind('port', 'spec.input.port', '    port: 5002'),
    behind('port', 'spec.input.vlan', '    vlan: 4095'),
    behind('port', 'spec.input.vlan', '    vlan: x'),
    behind('port', 'spec.input.excludeSources', '    excludeSources: [10.0.0.1]'),
    ...values('source', 'spec.input.sources[0]', '      -', '10', '239.1.1.1', '10.0.0.256', '10.0.0.0/8'),
    instead('otherSource', 'spec.input.sources[1]', '      - 10.99.99.99', { needs: ['source'] }),
    instead('otherSource', 'spec.input.sources[1]', '      - 2001:db8::1', { needs: ['group'] }),
    ...values('fullInterface', 'spec.outputs[0].interface', '    - interface:', '1', 'a/b'),
    ...values('fullAddress', 'spec.outputs[0].address', '      address:', '239.1', 'x', "''"),
    instead('fullAddress', 'spec.outputs[0].address', '      address: 127.0.0.1', { needs: ['fullInterface'] }),
    instead('fullAddress', 'spec.outputs[0].address', '      address: 224.0.1.129', { needs: ['allowPtp'] }),
    instead('fullAddress', 'spec.outputs[0].address', '      address: ff3e::1', { needs: ['group'] }),
    ...values('fullPort', 'spec.outputs[0].port', '      port:', '0', '65536', 'x', '1.5'),
    ...values('fullTtl', 'spec.outputs[0].ttl', '      ttl:', '0', '256', 'x'),
    ...values('fullSource', 'spec.outputs[0].source', '      source:', 'KEPT', '5', '239.1.1.1', 'interface'),
    ...values('fullDscp', 'spec.outputs[0].dscp', '      dscp:', '64', 'EF'),
    ...values('fullSourcePort', 'spec.outputs[0].sourcePort', '      sourcePort:', '0', 'x'),
    ...values('fullOversize', 'spec.outputs[0].oversize', '      oversize:', 'CUT', '1'),
    behind('fullOversize', 'spec.outputs[0].zebra', '      zebra: 1'),
    instead('nearAddress', 'spec.outputs[1].adress', '      adress: 239.10.10.11'),
    instead('nearAddress', 'spec.outputs[1].destination', '      destination: 239.10.10.11'),
    ...values('nearPort', 'spec.outputs[1].port', '      port:', '0', 'x', '65536'),
    instead('nearPort', '', '      port: !secret 1'),
    instead('nearPort', 'spec.outputs[1].prot', '      prot: 5002'),
    instead('nearPort', 'spec.outputs[1].dst', '      dst: 5002'),
    instead('nearInterface', 'spec.outputs[1]', '    - {interface: eth0, ttl: 7}', {
      gone: ['nearAddress', 'nearPort'],
      needs: ['interface', 'group', 'port'],
    }),
    instead('twinInterface', 'spec.outputs[3]', '    - {interface: eth2, ttl: 7}', {
      gone: ['twinAddress', 'twinPort'],
      needs: ['bareInterface'],
    }),
    instead('nearInterface', 'spec.outputs[1]', '    - 5', { gone: ['nearAddress', 'nearPort'] }),
    instead('nearInterface', 'spec.outputs[1]', '    -', { gone: ['nearAddress', 'nearPort'] }),
    ...values('bareInterface', 'spec.outputs[2].interface', '    - interface:', '2', "''"),
    ...values('twinPort', 'spec.outputs[3].port', '      port:', '0', 'x', '"5001"'),
    instead('twinPort', 'spec.outputs[3].dst', '      dst: 5002'),
    ...values('packets', 'spec.rateLimit.packetsPerSecond', '    packetsPerSecond:', '0', 'x', '10000001'),
    instead('packets', 'spec.rateLimit.packetPerSecond', '    packetPerSecond: 1000'),
    instead('packets', 'spec.rateLimit.pps', '    pps: 1000'),
    instead('rateLimit', 'spec.rateLimit', '  rateLimit: 1000', { gone: ['packets'] }),
    instead('rateLimit', 'spec.rateLimit', '  rateLimit: {}', { gone: ['packets'] }),
    ...values('keepDuplicates', 'spec.loopProtection.keepDuplicates', '    keepDuplicates:', '"yes"', '1'),
    ...values('minTtl', 'spec.loopProtection.minTtl', '    minTtl:', '1', '256', 'x'),
    ...values('allowPtp', 'spec.allowPtp', '  allowPtp:', '"no"', '0'),
  ],
};

const inKernel = (line: string, path: string, text: string): Fault => ({
  ...behind(line, path, text),
  needs: ['engine'],
});

/** A relay as the kernel's forwarding takes it. */
export const kernel: Faultable = {
  lines: (n) => ({
    apiVersion: 'apiVersion: mcfleet/v1',
    kind: 'kind: Relay',
    metadata: 'metadata:',
    name: `  name: camera-${n}`,
    spec: 'spec:',
    hosts: '  hosts:',
    names: '    names:',
    edge: '      - edge-1',
    engine: '  engine: KERNEL',
    input: '  input:',
    interface: '    interface: eth0',
    group: `    group: 239.1.2.${n}`,
    outputs: '  outputs:',
    output: '    - interface: eth1',
    source: '      source: KEEP',
  }),
  faults: [
    ...document,
    ...values('engine', 'spec.engine', '  engine:', 'KERNAL', '1'),
    ...values('group', 'spec.input.group', '    group:', '239.1', '300.1.1.1', '240.0.0.1', '127.0.0.1'),
    instead('group', 'spec.input.group', '    group: 224.0.1.129'),
    instead('group', 'spec.input.group', '    group: 10.0.0.1', { needs: ['engine'] }),
    instead('group', 'spec.input.group', '    group: 224.0.0.251', { needs: ['engine'] }),
    ...['port: 5001', 'port: x', 'vlan: 7', 'excludeSources: [10.0.0.1]', 'excludeSources: 5'].map((text) =>
      inKernel('interface', `spec.input.${text.replace(/:.*/, '')}`, `    ${text}`),
    ),
    behind('interface', 'spec.input.dst', '    dst: 5001'),
    ...['port: 5001', 'ttl: 7', 'ttl: x', 'dscp: 46', 'sourcePort: 9', 'oversize: DROP'].map((text) =>
      inKernel('output', `spec.outputs[0].${text.replace(/:.*/, '')}`, `      ${text}`),
    ),
    { ...behind('output', 'spec.outputs[0].address', '      address: 239.1.1.1'), needs: ['engine', 'group'] },
    instead('source', 'spec.outputs[0].source', '      source: INTERFACE', { needs: ['engine'] }),
    ...values('source', 'spec.outputs[0].source', '      source:', 'keep', 'x', '5'),
    behind('engine', 'spec.rateLimit', '  rateLimit: 5'),
    inKernel('engine', 'spec.rateLimit', '  rateLimit: {packetsPerSecond: 1000}'),
  ],
};

/** Whether two faults of a document have nothing to do with each other. */
export function areIndependent(a: Fault, b: Fault): boolean {
  const touched = (fault: Fault): string[] => [fault.line, ...fault.gone];
  const meet = (lines: readonly string[], others: readonly string[]): boolean =>
    lines.some((line) => others.includes(line));
  return !meet(touched(a), [...touched(b), ...b.needs]) && !meet(touched(b), a.needs);
}

/** The text of the n-th document with faults, and for each of them its line, from 1 on, and path. */
export function withFaults(
  { lines }: Faultable,
  n: number,
  faults: readonly Fault[],
): { text: string; told: { line: number; path: string }[] } {
  const gone = new Set(faults.flatMap((fault) => (fault.isAdded ? fault.gone : [fault.line, ...fault.gone])));
  const written: string[] = [];
  const told: { line: number; path: string }[] = [];
  for (const [name, line] of Object.entries(lines(n))) {
    if (!gone.has(name)) written.push(line);
    for (const { text, path } of faults.filter((fault) => fault.line === name)) {
      told.push({ line: written.push(text.replace('%', `${n}`)), path });
    }
  }
  return { text: `${written.join('\n')}\n`, told };
}
