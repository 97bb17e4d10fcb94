import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLine } from './statement.ts';

const host = (value: bigint) => ({ family: 4, value, length: 32 });

describe('readLine', () => {
  it.each([
    [
      'phyint eth0 enable ttl-threshold 11 mrdisc',
      { interfaces: 'eth0', enable: true, routerDiscovery: true, threshold: 11 },
    ],
    ['phyint eth+ disable', { interfaces: 'eth+', enable: false, routerDiscovery: false, threshold: 1 }],
    ['phyint eth0', { interfaces: 'eth0', enable: undefined, routerDiscovery: false, threshold: 1 }],
    ['phyint eth0 enable disable ttl-threshold 5x # a comment', { interfaces: 'eth0', enable: false, threshold: 5 }],
  ])('%s', (line, phyint) => {
    expect(readLine(line)).toMatchObject({ statement: { kind: 'phyint', ...phyint }, problems: [], notes: [] });
  });

  it.each([
    ['mgroup from eth0 group 225.1.2.3 # a', { kind: 'mgroup', source: undefined, group: host(0xe1010203n) }],
    ['ssmgroup from eth0 source 10.0.0.1 group 225.1.2.3', { kind: 'mgroup', source: host(0x0a000001n) }],
    ['\tmroute  from eth0 to eth1 eth2 eth1', undefined],
    ['mroute from eth0 group 225.1.2.3 to eth1 eth2 eth1', { kind: 'mroute', from: 'eth0', to: ['eth1', 'eth2'] }],
    ['mroute from eth0 group 225.1.2.3', { kind: 'mroute', to: [] }],
    [
      'mroute from eth0 source 0.0.0.0/0 group ff05::1 to eth1',
      { source: undefined, group: { family: 6, length: 128 } },
    ],
    ['mroute from eth0 source fc00::/64 group ff05::/16 to eth1', { source: { length: 64 }, group: { length: 16 } }],
    ['mroute from eth0 source 10.0.0.7/0 group 225.1.2.3/x to e', { source: host(0x0a000007n), group: { length: 32 } }],
    ['mroute from eth0 source 10.0.0.1 source 10.0.0.2 group 225.1.2.3', { source: host(0x0a000002n) }],
    ['mroutes from+ eth0 groups 225.1.2.3 too eth1', { kind: 'mroute', from: 'eth0', to: ['eth1'] }],
  ])('%s', (line, flow) => {
    if (flow === undefined) expect(readLine(line).problems).toEqual(['mroute needs "group" and an address']);
    else expect(readLine(line)).toMatchObject({ statement: flow, problems: [] });
  });

  it.each([[''], ['   \r'], ['# mroute'], ['#mroute from eth0'], ['\t# x']])('%j says nothing', (line) => {
    expect(readLine(line)).toEqual({ problems: [], notes: [] });
  });

  it.each([
    ['table 5', /"table" is not a command: phyint/],
    ['ttl-threshold 3', /not a command/],
    ['phyint', /needs an interface/],
    ['include', /needs a file/],
    ['phyint eth0 ttl-threshold 0', /"0" is not a threshold: it must be 1 to 255/],
    ['phyint eth0 ttl-threshold 256', /1 to 255/],
    ['phyint eth0 ttl-threshold x', /1 to 255/],
    ['mgroup group 225.1.2.3', /mgroup needs "from"/],
    ['mroute from eth0 # group 225.1.2.3', /needs "group"/],
    ['mroute from eth0 group 10.1.2.3 to eth1', /"10.1.2.3" is not multicast/],
    ['mroute from eth0 group banana to eth1', /"banana" is not an address/],
    ['mroute from eth0 group 225.1.2.3/33 to eth1', /0 to 32/],
    ['mroute from eth0 group 225.1.2.3/-3 to eth1', /0 to 32/],
    ['mroute from eth0 group ff05::/129 to eth1', /0 to 128/],
    ['mroute from eth0 source 10.0.0.1/40 group 225.1.2.3 to eth1', /source "10.0.0.1\/40" has a prefix length/],
    ['mroute from eth0 source fc00::1 group 225.1.2.3 to eth1', /not of one family/],
    ['mroute from eth0 group 225.1.2.3 to eth0123456789012', /cannot be an interface/],
    ['mroute from eth0 group 225.1.2.3 to a/b', /"a\/b" cannot be an interface/],
    [`mroute from eth0 group 225.1.2.3 to ${'e '.repeat(33)}`, /33 interfaces.*at most 32/],
    [`mgroup from eth0 group 225.1.2.3 ${'x'.repeat(500)}`, /longer than 511 bytes/],
  ])('%s is refused', (line, problem) => {
    const read = readLine(line);
    expect(read.statement).toBeUndefined();
    expect(read.problems).toEqual([expect.stringMatching(problem)]);
  });

  it('tells of words that smcroute passes over, and of those after # that it does not', () => {
    expect(readLine('phyint eth0 enable bogus').notes).toEqual(['smcroute passes over "bogus"']);
    expect(readLine('mgroup from eth0 group 225.1.2.3 to eth1').notes).toEqual(['smcroute passes over "eth1"']);
    const commented = readLine('mroute from eth0 group 225.1.2.3 to eth1 # eth2');
    expect(commented).toMatchObject({ statement: { to: ['eth1'] }, notes: [expect.stringMatching(/comment/)] });
  });

  it('never throws, and either understands a line or says why not', () => {
    const word = fc.oneof(
      fc.constantFrom('mroute', 'mgroup', 'phyint', 'include', 'from', 'to', 'group', 'source', 'ttl-threshold', '#'),
      fc.constantFrom('eth0', 'eth+', '225.1.2.3', '225.0.0.0/8', 'ff05::1/99', '10.0.0.1/', '/', '999'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        const line = words.join(' ');
        const { statement, problems } = readLine(line);
        const isSilent = /^[ \t\r\v\f\0]*(#|$)/.test(line);
        expect(statement !== undefined).toBe(problems.length === 0 && !isSilent);
      }),
      { numRuns: 2_000 },
    );
  });
});
