// Another program's opinion of frames.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A capture file, pcap version 2.4 of Ethernet frames (libpcap, pcap-savefile(5)). */
function pcap(frames: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65_535, 16);
  head.writeUInt32LE(1, 20);
  const records = frames.flatMap((frame) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  return Buffer.concat([head, ...records]);
}

/** What tshark says of these fields in each frame, checksums checked and fragments put together; '' for a field that is not there. */
export function decodeFrames(frames: readonly Buffer[], fields: readonly string[]): Record<string, string>[] {
  const directory = mkdtempSync(join(tmpdir(), 'mcfleet-tshark-'));
  try {
    const file = join(directory, 'frames.pcap');
    writeFileSync(file, pcap(frames));
    const options = ['ip.check_checksum:TRUE', 'udp.check_checksum:TRUE', 'ip.defragment:TRUE', 'ipv6.defragment:TRUE'];
    const argv = [...options.flatMap((option) => ['-o', option]), ...fields.flatMap((field) => ['-e', field])];
    const { status, stdout, stderr } = spawnSync('tshark', ['-n', '-r', file, '-T', 'fields', ...argv], {
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    });
    if (status !== 0) throw new Error(`tshark failed: ${stderr}`);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const values = line.split('\t');
        return Object.fromEntries(fields.map((field, i) => [field, values[i] ?? '']));
      });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
