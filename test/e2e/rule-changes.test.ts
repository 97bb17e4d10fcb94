import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { churnDataplane } from '../fleet/dataplane-churn.ts';
import { host, RelayPath } from '../fleet/relay-path.ts';
import { describeWithLab } from '../lab/when-possible.ts';
import { expectAll } from './all-arrived.ts';

const churn = fileURLToPath(new URL('../fleet/churn.ts', import.meta.url));
const rate = 20_000;

// The acceptance run makes ten thousand.
const changes = 2_000;

describeWithLab('changes of other relays', () => {
  it('lose and repeat no packet of a stream, made through the controller', async () => {
    await using path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    const carried = await path.carryDuring({ rate }, async () => {
      const { input, output } = path.course.relay;
      const argv = [process.execPath, churn, path.fleet.server, host, input, output, String(changes)];
      const result = await path.lab.run('relay', argv, { timeoutMs: 110_000 });
      expect(result).toMatchObject({ code: 0 });
      const { added, updated, removed } = JSON.parse(result.stdout) as Record<string, number>;
      expect({ added, updated, removed }).toEqual({
        added: changes / 10,
        updated: (changes * 8) / 10,
        removed: changes / 10,
      });
    });
    expectAll(carried);
    expect((await path.fleet.instances()).map(({ relay }) => relay)).toEqual(['relays/camera']);
  });

  it('lose and repeat no packet of a stream, made one by one in the data plane', async () => {
    await using path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    const { input, output } = path.course.relay;
    const ifindexes = { input: await path.ifindex('relay', input), output: await path.ifindex('relay', output) };
    const carried = await path.carryDuring({ rate }, async () => {
      await churnDataplane(path.fleet.dataplaneSocket(host), ifindexes, changes);
    });
    expectAll(carried);
  });
});
