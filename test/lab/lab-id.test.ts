import { expect, it } from 'vitest';
import { isLeftOver, labOfNamespace, namespaceName, newLabId } from './lab-id.ts';

it('knows its own namespaces again, and no others', () => {
  const id = newLabId();
  expect(labOfNamespace(namespaceName(id, 'host-a'))).toBe(id);
  expect(labOfNamespace(namespaceName('demo', 'host-a'))).toBe('demo');
  for (const foreign of ['host-a', 'mcfleet', 'mcfleet-1.x', 'cni-mcfleet-1-a-1.x']) {
    expect(labOfNamespace(foreign)).toBeUndefined();
  }
});

it('takes a lab as left over once its process is gone, also if another got its pid', () => {
  const id = newLabId();
  const [pid, start] = id.split('-');
  expect(newLabId()).not.toBe(id);
  expect(isLeftOver(id)).toBe(false);
  expect(isLeftOver(id, (asked) => (asked === Number(pid) ? start : undefined))).toBe(false);
  expect(isLeftOver(id, () => undefined)).toBe(true);
  expect(isLeftOver(id, () => `${start}0`)).toBe(true);
  expect(isLeftOver('demo', () => undefined)).toBe(false);
});
