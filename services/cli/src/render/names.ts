/** The bare name people type: "relays/camera-7" is camera-7. */
export function bare(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

/** Labels as selectors write them: "role=edge,site=studio-2". */
export function labelList(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** "239.1.1.1:5001@eth0", "[ff3e::1]:5001@eth0"; without a port "239.1.1.1:*@eth0". */
export function endpoint(address: string, port: number | undefined, networkInterface: string): string {
  const host = address.includes(':') ? `[${address}]` : address || '*';
  return `${host}:${port ?? '*'}@${networkInterface}`;
}
