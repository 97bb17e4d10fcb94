import { expect, test } from 'vitest';
import { assertMayListen, formatAddress, parseListenAddress } from './listen.ts';

test.each([
  ['127.0.0.1:7400', { kind: 'tcp', host: '127.0.0.1', port: 7400 }],
  ['[::1]:0', { kind: 'tcp', host: '::1', port: 0 }],
  ['controller.example:65535', { kind: 'tcp', host: 'controller.example', port: 65535 }],
  ['unix:/run/mcfleet/a b.sock', { kind: 'unix', path: '/run/mcfleet/a b.sock' }],
  ['unix:rel.sock', { kind: 'unix', path: 'rel.sock' }],
])('%s', (text, address) => {
  expect(parseListenAddress(text)).toEqual(address);
  expect(formatAddress(parseListenAddress(text))).toBe(text);
});

test('unix:///path is unix:/path', () => {
  expect(parseListenAddress('unix:///run/x')).toEqual({ kind: 'unix', path: '/run/x' });
});

test.each([
  '',
  '7400',
  ':7400',
  '::1:7400',
  '[127.0.0.1]:1',
  'a:70000',
  'a:-1',
  'a:',
  'http://a:1',
  'unix:',
  `unix:/${'x'.repeat(107)}`,
])('%j is refused', (text) => {
  expect(() => parseListenAddress(text)).toThrow(expect.objectContaining({ reason: 'INVALID_ADDRESS' }));
});

test.each(['127.0.0.1:1', '127.8.8.8:1', '[::1]:1', 'localhost:1', 'unix:/x'])(
  '%s is for this machine only',
  (text) => {
    expect(() => assertMayListen(parseListenAddress(text), { insecure: false })).not.toThrow();
  },
);

test.each(['0.0.0.0:1', '[::]:1', '10.0.0.1:1', '127.example:1', '127.0.0.1.example:1'])(
  '%s needs --insecure',
  (text) => {
    const address = parseListenAddress(text);
    expect(() => assertMayListen(address, { insecure: false })).toThrow(/--insecure/);
    expect(() => assertMayListen(address, { insecure: true })).not.toThrow();
  },
);
