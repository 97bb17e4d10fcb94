// Started by interfaces.test.ts in a network namespace: one JSON line per report. SIGTERM closes the watch.
import { watchInterfaces } from '../index.ts';

const watch = watchInterfaces((interfaces) => process.stdout.write(`${JSON.stringify(interfaces)}\n`));
// The watch does not keep the process alive; this does until it is told to end.
const wait = setInterval(() => undefined, 1_000);
process.once('SIGTERM', () => {
  watch.close();
  clearInterval(wait);
});
