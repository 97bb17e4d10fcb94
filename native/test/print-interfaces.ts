// Started by interfaces.test.ts in a network namespace: one JSON line per report; ends when its input does.
import { watchInterfaces } from '../index.ts';

const watch = watchInterfaces((interfaces) => process.stdout.write(`${JSON.stringify(interfaces)}\n`));
process.stdin.on('end', () => watch.close());
process.stdin.resume();
