import { expect, test } from 'vitest';
import { machineTime, parseMachineTime, parseProcessTime, parseResidentBytes, processTime } from './processor-time.ts';

test('reads the line of all cores', () => {
  const stat = 'cpu  1000 20 300 90000 50 6 70 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 1 2 3 4 5 6 7 8 0 0\nintr 1\n';
  expect(parseMachineTime(stat)).toEqual({ cores: 2, idle: 900.5 });
});

test('reads the time of a process whose name is made to confuse', () => {
  const stat = `42 (a) S 1 (b c) R 1 42 42 0 -1 4194304 5 0 0 0 150 50 7 3 20 0 1 0 100 4096 10\n`;
  expect(parseProcessTime(stat)).toBe(2);
  expect(parseProcessTime(stat, true)).toBe(2.1);
});

test('reads resident memory', () => {
  expect(parseResidentBytes('Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t   1234 kB\nThreads:\t1\n')).toBe(1_263_616);
  expect(parseResidentBytes('Name:\tkthreadd\n')).toBeNaN();
});

test("work that this process does is seen, in its time and in the machine's", () => {
  const before = { own: processTime([process.pid]), machine: machineTime() };
  const start = performance.now();
  const begun = process.cpuUsage();
  let x = 1;
  // However long that takes: on a busy machine this process gets but a part of a processor.
  while (process.cpuUsage(begun).user < 200_000) x = (x * 16_807) % 2_147_483_647;
  expect(x).toBeGreaterThan(0);
  const own = processTime([process.pid]) - before.own;
  expect(own).toBeGreaterThan(0.1);
  expect(own).toBeLessThan(5);
  const { cores, idle } = machineTime();
  const seconds = (performance.now() - start) / 1_000;
  // What this process did was not idleness. The kernel tells both in steps of 10 ms.
  expect(idle - before.machine.idle).toBeLessThan(cores * seconds - own + 0.05);
});
