import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { examples } from './global-options.ts';
import { addGroup } from './group.ts';
import { addReceiveCommand } from './probe-recv.ts';
import { addSendCommand } from './probe-send.ts';

/** `mcfleet probe send` and `mcfleet probe recv`. They need no controller. */
export function addProbeCommands(program: Command, cli: Cli): void {
  const probe = addGroup(program, 'probe')
    .summary('send test traffic, or receive and judge it')
    .description('Test traffic, on any host, without a controller: start the receiver, then the sender.');
  addSendCommand(probe, cli);
  addReceiveCommand(probe, cli);
  examples(probe, [
    ['mcfleet probe recv --interface eth1 --group 239.10.10.10 --port 6001 --count 1000', 'behind the relay'],
    ['mcfleet probe send --interface eth0 --group 239.1.1.1 --port 5001 --count 1000', 'before the relay'],
  ]);
}
