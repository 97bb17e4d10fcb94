import { run } from './program.ts';

// Whoever reads our output may stop early (`mcfleet get relays | head -1`): that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`error: standard output: ${error.message}\n`);
  process.exit(1);
});
// Without anybody to tell, there is nothing to say.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.exit(1);
});

process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  stdoutIsTerminal: process.stdout.isTTY === true,
  writeStdout: (text) => process.stdout.write(text),
  writeStderr: (text) => process.stderr.write(text),
  now: Date.now,
});
