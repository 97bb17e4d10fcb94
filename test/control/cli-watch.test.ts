import { describe, expect, it } from 'vitest';
import { document } from './cli-documents.ts';
import { useCli } from './use-cli.ts';

const { controller, start, run, write } = useCli();

describe('mcfleet watching', () => {
  it('prints every change, also over a controller that is killed and comes back', async () => {
    write('relays.yaml', document('camera-7'));
    await run('apply', '-f', 'relays.yaml');
    const table = start(['get', 'relays', '-w']);
    const json = start(['get', 'relays', '-w', '-o', 'json']);
    await table.until('camera-7');
    await json.until('camera-7');
    await controller().end('SIGKILL');
    await table.until('connecting again');
    await controller().startAgain();
    write('relays.yaml', document('later'));
    await run('apply', '-f', 'relays.yaml');
    await table.until('later ');
    await json.until('relays/later');
    await run('delete', 'relay', 'later');
    await table.until('later deleted');
    await json.until('CHANGE_TYPE_DELETED');
    table.kill();
    json.kill();
    const { stdout } = await table.ended;
    expect(stdout.match(/^NAME/gm)).toHaveLength(1);
    const events = (await json.ended).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ type: 'CHANGE_TYPE_ADDED', relay: { name: 'relays/camera-7' } });
    expect(events.at(-1)).toMatchObject({ type: 'CHANGE_TYPE_DELETED', relay: { name: 'relays/later' } });
  });

  it('ends after --timeout', async () => {
    const watched = await Promise.all(['hosts', 'instances'].map((kind) => run('get', kind, '-w', '--timeout', '2s')));
    expect(watched).toMatchObject([{ code: 0, stdout: expect.stringContaining('edge-1') }, { code: 0 }]);
  });

  it('waits until a relay is deleted', async () => {
    write('relays.yaml', document('camera-7'));
    await run('apply', '-f', 'relays.yaml');
    const waiting = start(['wait', 'relay', 'camera-7', '--for=delete', '--timeout', '60s']);
    // It has to have begun; if it has not by then, it finds no relay.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await run('delete', 'relay', 'camera-7');
    expect(await waiting.ended).toEqual({ code: 0, stdout: 'relay camera-7 deleted\n', stderr: '' });
    expect(await run('wait', 'relay', 'camera-7', '--for=delete')).toMatchObject({ code: 0 });
  });

  it('waits for a condition, and gives up with what is lacking', async () => {
    write('relays.yaml', document('camera-7'));
    await run('apply', '-f', 'relays.yaml');
    expect(await run('wait', 'relay', 'camera-7', '--for=condition=Accepted')).toMatchObject({ code: 0 });
    const [given, applied] = await Promise.all([
      run('wait', 'relay', 'camera-7', '--for=ready', '--timeout', '2s'),
      run('apply', '-f', 'relays.yaml', '--wait', '--timeout', '2s'),
    ]);
    expect(given.code).toBe(1);
    expect(given.stderr).toMatch(/^relay camera-7 is not ready: .*not connected/);
    // Of the condition that it waits for, and of no other.
    const waiting = (what: string) => run('wait', 'relay', 'camera-7', `--for=condition=${what}`, '--timeout', '1s');
    expect((await waiting('Bogus')).stderr).toMatch(
      /^relay camera-7 is not Bogus=true: it has no condition Bogus, only Accepted, [A-Za-z, ]*Ready;/,
    );
    expect((await waiting('Accepted=false')).stderr).toMatch(/^relay camera-7 is not Accepted=false: Accepted is true/);
    expect(applied).toMatchObject({ code: 1, stdout: 'relay camera-7 unchanged\n' });
  });
});
